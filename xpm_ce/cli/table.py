"""`xpm-ce table`: the results of an experiment."""

from pathlib import Path

import click

from xpm_ce.cli.options import as_json, baselines, experiment_name, print_json, tests, workdir, written
from xpm_ce.workspace import Workspace

ENDINGS = {".tex": "latex", ".csv": "csv", ".md": "md", ".json": "json"}
"""Formats by the ending of --output"""


def _axes(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
    return [axis.strip() for axis in value.split(",")] if value else []


@click.command("table")
@click.argument("experiment", required=False)
@workdir
@as_json
@click.option("-m", "--measure", "measures", multiple=True, help="A measure; by default the experiment's first.")
@click.option("-d", "--depth", "depths", multiple=True, type=int, help="A depth; by default the largest.")
@click.option("-p", "--protocol", "protocols", multiple=True, help="A protocol, or a pattern of them; by default all.")
@click.option("--rows", callback=_axes, help="Axes of the rows, as backbone,loss; by default the experiment's.")
@click.option("--cols", "columns", callback=_axes, help="Axes of the columns; protocol, measure and depth too.")
@click.option("--agg", "aggregate", default="", help="AXIS:mean or AXIS:mean±std; by default seed:mean±std.")
@baselines
@tests("t", "randomisation", "none")
@click.option("--format", "form", type=click.Choice(["text", "latex", "csv", "md", "json"]), help="By default text.")
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file; its ending says the format.")
@click.option("--explain", metavar="ROW,COLUMN", help="Print the jobs behind a cell.")
def command(
    experiment: str | None, workspace: Workspace, as_json: bool, measures: tuple[str, ...], depths: tuple[int, ...],
    protocols: tuple[str, ...],
    rows: list[str], columns: list[str], aggregate: str, baselines: tuple[str, ...], test: str | None, correction: str,
    alpha: float, draws: int, form: str | None, output: Path | None, explain: str | None,
) -> None:  # fmt: skip
    """Print the results of EXPERIMENT (an id, a YAML file, or the last one planned).

    Example: xpm-ce table quickstart -m RR@10 --baseline BCE
    """
    from xpm_ce.analysis.explained import explained
    from xpm_ce.analysis.results import read_results
    from xpm_ce.analysis.table_request import TableRequest
    from xpm_ce.analysis.tables_formats import FORMATS

    form = "json" if as_json else form or ENDINGS.get(output.suffix if output else "", "text")
    results = read_results(workspace, experiment_name(workspace, experiment))
    asked = TableRequest(
        measures, depths, protocols, tuple(rows), tuple(columns), aggregate, baselines, test, correction, alpha, draws
    )
    if explain:
        cells = explained(asked._replace(baselines=(), test=None).tables(results), results, explain)
        if form == "json":
            print_json({"schema": 1, "cells": [cell.as_json() for cell in cells]})
        else:
            click.echo("\n\n".join(cell.render() for cell in cells))
        return
    written(FORMATS[form](asked.tables(results), results), output)
