"""`xpm-ce logs`: what a job printed."""

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.workspace import Workspace


@click.command("logs")
@click.argument("job")
@workdir
@as_json
@click.option("--lines", default=50, show_default=True, help="Lines from the end; 0 prints all.")
def command(job: str, workspace: Workspace, as_json: bool, lines: int) -> None:
    """Print what JOB, given by the first characters of its identity, wrote to its log.

    Example: xpm-ce logs 3fb2a91c --lines 20
    """
    folder = workspace.find_job(job)
    logs = {}
    for name, path in (("output", folder.output_log), ("log", folder.log)):
        text = path.read_text(errors="replace").splitlines() if path.exists() else []
        logs[name] = text[-lines:] if lines else text
    if as_json:
        print_json({"schema": 1, "id": folder.identity, **logs})
        return
    for line in logs["output"] + logs["log"]:
        click.echo(line)
