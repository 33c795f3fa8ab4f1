"""`xpm-ce plan`: what a run would do, why, and what it would cost."""

import sys
from pathlib import Path

import click

from xpm_ce.cli.options import as_json, launchers, overrides, workdir, yaml_file
from xpm_ce.workspace import Workspace

STATES = ("reuse", "run", "blocked")


def _tags(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value} is no AXIS=VALUE")
    return [(axis, value) for axis, _, value in (each.partition("=") for each in values)]


@click.command("plan")
@yaml_file
@overrides
@workdir
@launchers
@as_json
@click.option("--jobs", is_flag=True, help="List every job with its reason.")
@click.option("--kind", "kinds", multiple=True, help="List jobs of this kind, as learn or rerank; repeatable.")
@click.option("--tag", "tags", multiple=True, metavar="AXIS=VALUE", callback=_tags, help="List jobs at this place.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="List jobs in this state.")
def command(
    file: Path, overrides: tuple[str, ...], workspace: Workspace, launchers: Path | None, as_json: bool, jobs: bool,
    kinds: tuple[str, ...], tags: list[tuple[str, str]], states: tuple[str, ...],
) -> None:  # fmt: skip
    """Show what running FILE would reuse, run and leave blocked, why, and at what cost; nothing is run.

    Example: xpm-ce plan experiments/quickstart.yaml --state run --kind learn
    """
    # experimaestro does without its documentation plugin where that cannot be had; it is a third of its loading time.
    sys.modules.setdefault("experimaestro.mkdocs.base", None)  # type: ignore[arg-type]
    from xpm_ce.experiment import Configuration, prepare
    from xpm_ce.graph.naming import many_configurations
    from xpm_ce.graph.rendering import rendered_plan

    with many_configurations():
        plan = prepare(Configuration.load(file, overrides, launchers=launchers), workspace).plan
        selected = plan.selected(kinds=kinds, tags=tags, states=states)
        if as_json:
            click.echo(plan.as_text(selected), nl=False)
        else:
            click.echo(rendered_plan(plan, jobs=selected if jobs or kinds or tags or states else None))
