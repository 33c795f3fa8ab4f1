"""Options that several verbs share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from xpm_ce.workspace import Workspace


def _workspace(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Workspace:
    return Workspace.resolve(value)


workdir = click.option(
    "--workdir",
    "workspace",
    callback=_workspace,
    help="Workspace folder; else $XPM_CE_WORKDIR, else ./workspace.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print the same data as JSON.")
overrides = click.option(
    "-c",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a value by its dotted path, typed as in YAML; repeatable. Example: -c 'learner.steps=100'",
)
launchers = click.option(
    "--launchers",
    type=click.Path(path_type=Path),
    help="The launchers file; else ./launchers.yaml where there is one, else all cores and fp32.",
)
yaml_file = click.argument("file", type=click.Path(path_type=Path))
baselines = click.option(
    "--baseline",
    "baselines",
    multiple=True,
    metavar="ROW",
    help="Compare with this row, or with the one that has AXIS=VALUE and is alike otherwise; repeatable.",
)


def tests(*names: str) -> Callable[[Any], Any]:
    """Which paired test, which correction over the family shown, at which alpha."""

    def with_options(command: Any) -> Any:
        for option in options:
            command = option(command)
        return command

    options = (
        click.option("--alpha", type=float, default=0.05, show_default=True, help="Where adjusted p-values count."),
        click.option(
            "--correction", type=click.Choice(["holm", "bonferroni", "bh"]), default="holm", show_default=True,
            help="For the number of comparisons shown.",
        ),
        click.option(
            "--draws", type=click.IntRange(100), default=10_000, show_default=True, help="Of a randomisation test.",
        ),
        click.option("--test", type=click.Choice(names), help="Paired by query; by default t."),
    )  # fmt: skip
    return with_options


def experiment_name(workspace: Workspace, name: str | None) -> str:
    """The experiment that `name` means: an identifier, a YAML file whose `id` it is, or the last one planned here."""
    from xpm_ce.errors import ConfigurationError

    if name is None:
        known = workspace.experiments()
        if not known:
            raise ConfigurationError(
                "no experiment was planned here",
                where=str(workspace.path),
                remedy="Run `xpm-ce run FILE.yaml`, or give --workdir.",
            )
        return known[0]
    if name.endswith((".yaml", ".yml")):
        import yaml

        try:
            return str(yaml.safe_load(Path(name).read_text())["id"])
        except OSError as error:
            raise ConfigurationError(
                f"cannot read {name} ({error.strerror})", remedy="Give an existing file."
            ) from error
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise ConfigurationError("no `id` in this file", where=name, remedy="Add `id: NAME`.") from error
    return name


def written(text: str, output: Path | None) -> None:
    """Print a text, or write it to a file, atomically, and say so on the standard error."""
    if output is None:
        click.echo(text)
        return
    from xpm_ce import atomic

    with atomic.writing(output) as stream:
        stream.write(text if text.endswith("\n") else f"{text}\n")
    click.echo(f"written to {output}", err=True)


def print_json(value: Any) -> None:
    """Print JSON to the standard output."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))
