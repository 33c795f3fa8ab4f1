"""`xpm-ce diff`: the fields in which two jobs, or two YAML files, differ."""

from pathlib import Path

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.workspace import Workspace


@click.command("diff")
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@workdir
@as_json
def command(before: str, after: str, workspace: Workspace, as_json: bool) -> None:
    """Show the fields in which A and B differ: two jobs by the beginning of their identities, or two YAML files.

    Example: xpm-ce diff 3fb2a91c 77e05d12
    """
    from xpm_ce.graph.comparing import changes_of_files, changes_of_jobs

    if all(name.endswith((".yaml", ".yml")) for name in (before, after)):
        changes = changes_of_files(Path(before), Path(after))
    else:
        changes = changes_of_jobs(workspace, workspace.find_job(before), workspace.find_job(after))
    if as_json:
        print_json({"schema": 1, "a": before, "b": after, "changes": [each.as_json() for each in changes]})
        return
    for each in changes:
        click.echo(each)
    if not changes:
        click.echo("no difference", err=True)
