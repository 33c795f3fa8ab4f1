"""`xpm-ce compare`: what two learners differ in."""

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.workspace import Workspace


@click.command("compare")
@click.argument("a")
@click.argument("b")
@workdir
@as_json
@click.option("--fair", is_flag=True, help="List every field in which they differ besides the factor under study.")
@click.option("--factor", help="A field of a learner; by default the axes of the last plan on which they stand apart.")
def command(a: str, b: str, workspace: Workspace, as_json: bool, fair: bool, factor: str | None) -> None:
    """Compare the learners A and B: job folders, first characters of identities, or places in the last plan.

    Example: xpm-ce compare --fair loss=infonce loss=margin_mse
    """
    if not fair:
        raise click.UsageError("Results of two learners cannot be compared yet; --fair compares what went into them.")
    from xpm_ce.analysis.fair import compare_fairly

    comparison = compare_fairly(workspace, a, b, factor=factor)
    if as_json:
        print_json(comparison.as_json())
    else:
        click.echo(comparison.render())
