"""`xpm-ce plan`: what a run would do."""

from pathlib import Path

import click

from xpm_ce.cli.options import as_json, launchers, overrides, print_json, workdir, yaml_file
from xpm_ce.workspace import Workspace


@click.command("plan")
@yaml_file
@overrides
@workdir
@launchers
@as_json
@click.option("--jobs", is_flag=True, help="List every job with its reason.")
def command(
    file: Path, overrides: tuple[str, ...], workspace: Workspace, launchers: Path | None, as_json: bool, jobs: bool
) -> None:
    """Show what running FILE would reuse, run and leave blocked; nothing is run.

    Example: xpm-ce plan experiments/quickstart.yaml --jobs
    """
    from xpm_ce.experiment import Configuration, prepare
    from xpm_ce.graph.rendering import rendered_plan

    plan = prepare(Configuration.load(file, overrides, launchers=launchers), workspace).plan
    if as_json:
        print_json(plan.as_json())
    else:
        click.echo(rendered_plan(plan, jobs=jobs))
