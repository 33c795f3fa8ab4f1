"""`xpm-ce monitor`: a web page on which an experiment is watched."""

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.workspace import Workspace


@click.command("monitor")
@workdir
@as_json
@click.option("--port", type=click.IntRange(0, 65535), help="By default 8642, or a free one where that is busy.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--allow-remote", is_flag=True, help="Listen on an address that other machines reach, unencrypted.")
def command(workspace: Workspace, as_json: bool, port: int | None, host: str, allow_remote: bool) -> None:
    """Serve a page that shows jobs and results of the workspace as they come; Ctrl-C ends it, and no job.

    Example: xpm-ce monitor --port 9000
    """
    import sys

    from xpm_ce.monitor.serving import LOOPBACK, listening, serve

    address = listening(host, port, allow_remote=allow_remote)
    interactive = sys.stdin.isatty() and not as_json
    if address.taken is not None:
        click.echo(f"port {address.taken} is busy, using {address.port}", err=True)
    if host not in LOOPBACK:
        click.echo(
            f"Warning: everybody who can reach {host} can try to connect, and the traffic is not encrypted. "
            "`ssh -L` is safer.",
            err=True,
        )

    def tell(link: str, bearer: str) -> None:
        if as_json:
            print_json({"schema": 1, "link": link, "bearer": bearer, "workspace": str(workspace.path)})
        else:
            click.echo(link)
        sys.stdout.flush()

    if interactive:
        click.echo("The link opens the page once. Enter: another link. Ctrl-C: end; jobs go on.", err=True)
    serve(workspace, address, tell=tell, more_links=interactive)
