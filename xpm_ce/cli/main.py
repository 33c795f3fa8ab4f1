"""The `xpm-ce` command: a table of verbs, each imported when called, and one place where errors become exit codes."""

import importlib
import logging
import sys

import click

from xpm_ce.errors import INTERRUPTED, XpmCeError, explained

VERBS = {
    "plan": "What a run would reuse, run and leave blocked, why, and at what cost; nothing is run.",
    "diff": "The fields in which two jobs, or two YAML files, differ.",
    "run": "Run what is missing of an experiment, then print its table.",
    "status": "Where an experiment stands: its jobs by kind and state, and what failed.",
    "monitor": "A web page that shows jobs and results as they come.",
    "show": "One job: its state, parameters, outputs, failure.",
    "logs": "What a job printed.",
    "table": "The results of an experiment as a table.",
    "data": "What data an experiment needs: whether it is here and right, and how to obtain it.",
    "doctor": "Whether this machine is ready: software, launchers.yaml, Slurm, disk, data; with remedies.",
    "plot": "The results of an experiment as pictures, each with its data beside it.",
    "compare": "What two learners differ in besides the factor under study.",
    "verify": "An experiment's results beside the published ones: reproduced, deviating, not run.",
    "clean": "What can be freed of the disk, by class; with --perform, free it.",
    "export": "A trained model as a folder that other libraries load with the same scores.",
}
"""Verbs in the order of --help; each is the command `command` of the module `xpm_ce.cli.<verb>`"""


class _Verbs(click.Group):
    """Imports a verb's module only when the verb is called: --help costs no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"xpm_ce.cli.{cmd_name}").command
        command.help = command.help or VERBS[cmd_name]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]):
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], VERBS, n=1)
            raise click.UsageError(
                f"{error.message} Did you mean {close[0]}?" if close else error.message, ctx
            ) from None


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Show what xpm-ce and experimaestro log.")
@click.version_option(package_name="xpm-ce")
def cli(verbose: bool) -> None:
    """A typed experiment manager for neural re-ranking.

    Example: xpm-ce run experiments/quickstart.yaml
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Run the command; exit with 0, 1 (jobs failed, wrong data) or 2 (bad configuration or usage)."""
    try:
        cli(standalone_mode=False)
    except (XpmCeError, OSError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            sys.exit(0)
        cause = explained(error)
        if not isinstance(cause, XpmCeError):
            raise
        click.echo(f"Error: {cause}", err=True)
        sys.exit(cause.exit_code)
    except click.exceptions.Exit as exit_request:
        sys.exit(exit_request.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
