"""`xpm-ce compare`: the results of two systems, or what two learners differ in."""

from typing import Any

import click

from xpm_ce.cli.options import as_json, experiment_name, print_json, tests, workdir
from xpm_ce.workspace import Workspace


@click.command("compare")
@click.argument("a")
@click.argument("b")
@workdir
@as_json
@click.option("--fair", is_flag=True, help="List every field in which two learners differ besides the factor.")
@click.option("--factor", help="A field of a learner; by default the axes of the last plan on which they stand apart.")
@click.option("--experiment", help="The experiment of both (an id or a YAML file); by default the last one planned.")
@click.option(
    "-p",
    "--protocol",
    "protocols",
    multiple=True,
    help="A set of queries; by default all. With one, queries are shown.",
)
@click.option("-m", "--measure", "measures", multiple=True, help="A measure; by default all.")
@click.option("-d", "--depth", "depths", multiple=True, type=int, help="A depth; by default the largest.")
@tests("t", "randomisation")
def command(
    a: str, b: str, workspace: Workspace, as_json: bool, fair: bool, factor: str | None, experiment: str | None,
    protocols: tuple[str, ...], measures: tuple[str, ...], depths: tuple[int, ...], test: str | None, correction: str,
    alpha: float,
    draws: int,
) -> None:  # fmt: skip
    """Compare A and B: places in the last plan, names of systems, job folders, first characters of identities.

    Without --fair, their results: differences with tests and intervals, wins and losses by query. With --fair, two
    learners: every field in which they differ besides the factor under study.

    Example: xpm-ce compare loss=infonce loss=margin_mse
    """
    if fair:
        from xpm_ce.analysis.fair import compare_fairly

        show(compare_fairly(workspace, a, b, factor=factor), as_json=as_json)
        return
    from xpm_ce.analysis.comparison import compare_systems
    from xpm_ce.analysis.results import read_results
    from xpm_ce.analysis.statistics.procedure import Procedure
    from xpm_ce.measures.names import parse

    results = read_results(workspace, experiment_name(workspace, experiment))
    procedure = Procedure(test or "t", correction, alpha, draws)
    asked = tuple(str(parse(measure)) for measure in measures)
    found = compare_systems(
        results, a, b, measures=asked, depths=depths, protocols=protocols, procedure=procedure
    )  # fmt: skip
    show(found, as_json=as_json)


def show(comparison: Any, *, as_json: bool) -> None:
    """Print a comparison."""
    if as_json:
        print_json(comparison.as_json())
    else:
        click.echo(comparison.render())
