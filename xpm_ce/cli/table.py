"""`xpm-ce table`: the results of an experiment."""

import click

from xpm_ce.cli.options import as_json, experiment_name, print_json, workdir
from xpm_ce.workspace import Workspace


@click.command("table")
@click.argument("experiment", required=False)
@workdir
@as_json
@click.option("-m", "--measure", "measures", multiple=True, help="A measure; by default the experiment's first.")
@click.option("-d", "--depth", "depths", multiple=True, type=int, help="A depth; by default the largest.")
def command(
    experiment: str | None, workspace: Workspace, as_json: bool, measures: tuple[str, ...], depths: tuple[int, ...]
) -> None:
    """Print the results of EXPERIMENT (an id, a YAML file, or the last one planned).

    Example: xpm-ce table quickstart -m RR@10
    """
    from xpm_ce.analysis.results import read_results
    from xpm_ce.analysis.tables import make_tables
    from xpm_ce.measures.names import parse

    results = read_results(workspace, experiment_name(workspace, experiment))
    tables = make_tables(results, measures=[str(parse(measure)) for measure in measures], depths=depths)
    if as_json:
        print_json(
            {"schema": 1, "experiment": results.experiment, "tables": [table.as_json() for table in tables],
             "missing": results.missing}
        )  # fmt: skip
        return
    for table in tables:
        click.echo(table.render() + "\n")
    if results.missing:
        click.echo(f"{len(results.missing)} results are not there yet; `xpm-ce status` says why.")
    elif not tables:
        click.echo("No result of that measure and depth; the experiment's YAML names those that are measured.")
