"""`xpm-ce export`: a cross-encoder as a folder that other libraries load, and on the hub."""

from pathlib import Path

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.libraries import loading
from xpm_ce.workspace import Workspace


@click.command("export")
@click.argument("model")
@click.argument("folder", type=click.Path(path_type=Path))
@workdir
@as_json
@click.option("--rule", type=click.Choice(["last", "best"]), help="Which checkpoint of a learner; by default last.")
@click.option("--language", help="ISO 639-1 code for the card.")
@click.option("--license", "licence", help="SPDX identifier for the card; by default that of a published backbone.")
@click.option("--push", "repository", metavar="OWNER/NAME", help="Say what would go to this repository of the hub.")
@click.option("--private", is_flag=True, help="Make the repository private where there is none.")
@click.option("--yes", is_flag=True, help="Push it.")
def command(
    model: str, folder: Path, workspace: Workspace, as_json: bool, rule: str | None, language: str | None,
    licence: str | None, repository: str | None, private: bool, yes: bool,
) -> None:  # fmt: skip
    """Export MODEL (a learner's folder, identity or place in the last plan, or any model folder) into FOLDER.

    sentence-transformers, transformers and rerankers load FOLDER with the same scores, which is checked before anything
    is left there. --push is dry unless --yes is given.

    Example: xpm-ce export loss=infonce exported/infonce
    """
    from xpm_ce.graph.resolved import Resolved, resolved
    from xpm_ce.publish import hub
    from xpm_ce.publish.source import find_source

    if yes and repository is None:
        raise click.UsageError("--yes is for --push OWNER/NAME.")
    if repository is not None:
        hub.check_repository(repository)
    source = find_source(workspace, model, rule=rule)
    with loading():  # what is wrong so far is said before
        from xpm_ce.publish.export import Naming, Origin, check_free, export
        from xpm_ce.publish.rendering import exported_json, rendered_export, rendered_upload

    folder = folder.absolute()
    check_free(folder)
    plan = source.plan()
    known = resolved(plan, source.learner.coordinates) if plan and source.learner else Resolved(None, None)
    naming = Naming(repository or folder.name, language, licence)
    done = export(source, folder, naming, origin=Origin(known.command, known.text))
    upload = hub.prepared_upload(folder, repository) if repository is not None else None
    address = hub.push(upload, private=private) if upload is not None and yes else None
    if as_json:
        print_json(exported_json(done, upload, address))
        return
    click.echo(rendered_export(done))
    if upload is not None:
        click.echo(rendered_upload(upload, address))
