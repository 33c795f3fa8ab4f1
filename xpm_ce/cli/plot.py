"""`xpm-ce plot`: the results of an experiment as pictures, each with its data beside it."""

from pathlib import Path

import click

from xpm_ce.cli.options import as_json, experiment_name, print_json, workdir
from xpm_ce.workspace import Workspace

KINDS = ("parameters", "latency", "training", "heat-map", "queries", "depth", "forest")


@click.command("plot")
@click.argument("experiment", required=False)
@workdir
@as_json
@click.option(
    "-k", "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="By default all that there can be."
)
@click.option("--protocol", default="", help="A set of queries; by default a picture for each.")
@click.option("-m", "--measure", default="", help="A measure; by default the experiment's first.")
@click.option("-d", "--depth", default=0, help="A depth; by default the largest.")
@click.option("--systems", nargs=2, metavar="A B", help="Two systems, for the differences per query, as in compare.")
@click.option("--baseline", default="", help="A system, for the forest plot; by default the first stage.")
@click.option("--format", "form", type=click.Choice(["pdf", "svg", "png"]), default="pdf", show_default=True)
@click.option("--output", type=click.Path(path_type=Path), help="Folder; by default plots/EXPERIMENT.")
def command(
    experiment: str | None, workspace: Workspace, as_json: bool, kinds: tuple[str, ...], protocol: str, measure: str,
    depth: int, systems: tuple[str, str] | None, baseline: str, form: str, output: Path | None,
) -> None:  # fmt: skip
    """Plot the results of EXPERIMENT (an id, a YAML file, or the last one planned), with the data as CSV.

    Example: xpm-ce plot quickstart -k heat-map -k forest --baseline loss=BCE
    """
    from xpm_ce.analysis.plots.figure import Plot
    from xpm_ce.analysis.plots.kinds import Asked, made
    from xpm_ce.analysis.results import read_results
    from xpm_ce.measures.names import parse

    results = read_results(workspace, experiment_name(workspace, experiment))
    folder = output or Path("plots") / results.experiment
    asked = Asked(protocol, str(parse(measure)) if measure else "", depth, systems or (), baseline)
    files: list[Path] = []
    without: dict[str, str] = {}
    for kind, plot in made(kinds or KINDS, results, asked):
        if isinstance(plot, Plot):
            files += plot.save(folder, form)
        elif kinds:
            raise plot
        else:
            without[kind] = plot.what
    if as_json:
        print_json({"schema": 1, "files": [str(file) for file in files], "without": without})
        return
    for file in files:
        click.echo(file)
    for kind, why in without.items():
        click.echo(f"no {kind}: {why}", err=True)
