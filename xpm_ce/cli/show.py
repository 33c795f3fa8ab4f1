"""`xpm-ce show`: one job, from the files of its folder."""

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.workspace import Workspace, read_json


@click.command("show")
@click.argument("job")
@workdir
@as_json
def command(job: str, workspace: Workspace, as_json: bool) -> None:
    """Show JOB, given by the first characters of its identity.

    Example: xpm-ce show 3fb2a91c
    """
    folder = workspace.find_job(job)
    parameters = read_json(folder.path / "params.json") or {}
    described = [entry["fields"] for entry in parameters.get("objects", []) if "fields" in entry]
    plain = {name: value for name, value in (described or [{}])[-1].items() if not isinstance(value, dict)}
    found = {
        "schema": 1,
        "task": folder.task,
        "id": folder.identity,
        "folder": str(folder.path),
        "state": folder.state,
        "parameters": plain,
        "record": folder.record,
        "failure": folder.failure,
    }
    if as_json:
        print_json(found)
        return
    click.echo(f"{folder.task} {folder.identity}\n  {folder.state} in {folder.path}")
    for name, value in plain.items():
        click.echo(f"  {name}: {value}")
    for file in folder.files:
        click.echo(f"  output {file.path} ({file.bytes} bytes, sha256 {file.sha256[:12]})")
    if folder.record:
        click.echo(f"  {folder.record['seconds']:.1f} s on {folder.record['environment']['processor']}")
    if folder.failure:
        click.echo(f"  failed: {folder.failure['what']}\n  {folder.failure['frame']}\n  {folder.failure['remedy']}")
