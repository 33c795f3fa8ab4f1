"""`xpm-ce data`: what data an experiment needs, whether it is here and right, and how to obtain it."""

import collections
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xpm_ce.cli.options import as_json, overrides, print_json, workdir
from xpm_ce.workspace import Workspace

if TYPE_CHECKING:
    from xpm_ce.data.doctor import Examined
    from xpm_ce.data.need import NeededHere


@click.group("data")
def command() -> None:
    """What data an experiment needs: whether it is here and right, and how to obtain it.

    Example: xpm-ce data check experiments/quickstart.yaml
    """


@command.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@overrides
@workdir
@as_json
@click.option("--quick", is_flag=True, help="Only look whether it is here; read and count nothing.")
def check(file: Path | None, overrides: tuple[str, ...], workspace: Workspace, as_json: bool, quick: bool) -> None:
    """Compare the disk with what FILE needs (by default, all registered protocols); nothing is downloaded.

    Exit code 1 where something is missing or wrong. Example: xpm-ce data check experiments/quickstart.yaml
    """
    from xpm_ce.data.doctor import checked

    _report(checked(_needed(file, overrides, workspace), quick=quick), as_json=as_json)


@command.command("prepare")
@click.argument("file", type=click.Path(path_type=Path))
@overrides
@workdir
@as_json
def prepare(file: Path, overrides: tuple[str, ...], workspace: Workspace, as_json: bool) -> None:
    """Fetch everything that FILE needs from elsewhere, before jobs run where there is no network.

    Documents, queries, judgements, published training files, weights. Exit code 1 where something could not be had.
    Example: xpm-ce data prepare experiments/quickstart.yaml
    """
    from xpm_ce.data.doctor import obtained

    _report(obtained(_needed(file, overrides, workspace)), as_json=as_json)


def _needed(file: Path | None, overrides: tuple[str, ...], workspace: Workspace) -> "list[NeededHere]":
    from xpm_ce.graph.build import planned
    from xpm_ce.graph.needs import needs_of_plan, needs_of_registry
    from xpm_ce.graph.study import Study

    if file is None:
        return needs_of_registry()
    return needs_of_plan(planned(Study.load(file, overrides), workspace).jobs)


def _report(examined: "Iterable[Examined]", *, as_json: bool) -> None:
    """Print each finding as it comes, then how many there are of each; exit with 1 where one is not fine."""
    from xpm_ce.data.doctor import FINE

    found = []
    for each in examined:
        found.append(each)
        if not as_json:
            expected = "" if each.verdict in FINE else f"; expected: {each.need.expected}"
            click.echo(f"{each.verdict.value:<9} {each.need.name} ({each.need.kind}): {each.found}{expected}")
            if each.remedy and each.verdict not in FINE:
                click.echo(f"          {each.remedy}")
    counts = collections.Counter(each.verdict.value for each in found)
    if as_json:
        print_json({"schema": 1, "counts": dict(counts), "data": [each.as_json() for each in found]})
    else:
        told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        click.echo(told or "Nothing is needed from elsewhere.")
    if any(each.verdict not in FINE for each in found):
        sys.exit(1)
