"""`xpm-ce run`: run what is missing of an experiment."""

from pathlib import Path

import click

from xpm_ce.cli.options import launchers, overrides, workdir, yaml_file
from xpm_ce.workspace import Workspace

RUN_MODES = ("normal", "dry_run")


@click.command("run")
@yaml_file
@overrides
@workdir
@launchers
@click.option(
    "--run-mode",
    type=click.Choice(RUN_MODES),
    default="normal",
    show_default=True,
    help="dry_run only prints the plan.",
)
@click.option(
    "--only", multiple=True, metavar="JOB", help="Run this job, what it needs and what waits for it; repeatable."
)
def command(
    file: Path,
    overrides: tuple[str, ...],
    workspace: Workspace,
    launchers: Path | None,
    run_mode: str,
    only: tuple[str, ...],
) -> None:
    """Run what is missing of FILE, then print its table.

    Example: xpm-ce run experiments/quickstart.yaml -c collection.seed=1
    """
    from xpm_ce.experiment import Configuration, prepare, start
    from xpm_ce.graph.rendering import rendered_plan

    configuration = Configuration.load(file, overrides, launchers=launchers, only=only)
    if run_mode == "dry_run":
        click.echo(rendered_plan(prepare(configuration, workspace).plan))
    else:
        start(configuration, workspace)
