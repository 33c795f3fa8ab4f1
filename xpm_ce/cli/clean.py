"""`xpm-ce clean`: what can be freed in a workspace, and freeing it."""

import click

from xpm_ce.cli.options import as_json, print_json, workdir
from xpm_ce.workspace import Workspace


def _classes() -> list[str]:
    from xpm_ce.graph.cleaning import Class

    return [each.value for each in Class]


@click.command("clean")
@workdir
@as_json
@click.option("--only", "names", multiple=True, metavar="CLASS", help="A class of what is shown or freed; repeatable.")
@click.option("--perform", is_flag=True, help="Free it; without this, only show.")
@click.option("--files", is_flag=True, help="List every folder.")
def command(workspace: Workspace, as_json: bool, names: tuple[str, ...], perform: bool, files: bool) -> None:
    """Show what can be freed, by class with its bytes; with --perform, free it.

    Without --only, it frees checkpoints, states and runs. Tokens, rankings and orphans must be named. A job whose files
    were freed is reused until something needs them.

    Example: xpm-ce clean --only checkpoints
    """
    from xpm_ce.errors import UnknownKeyError
    from xpm_ce.graph.cleaning import BY_DEFAULT, EXPLAINED, Class, find, free
    from xpm_ce.graph.quantities import size

    for name in names:
        if name not in _classes():
            raise UnknownKeyError(name, _classes(), where="--only", kind="class")
    named = [Class(name) for name in names]
    found = find(workspace, named or tuple(Class))
    chosen = [item for item in found.items if item.kind in (named or BY_DEFAULT)]
    freed, skipped = free(chosen) if perform else ([], [])
    if as_json:
        print_json(
            {
                "schema": 1,
                "performed": perform,
                "classes": {
                    each.value: {"items": len(found.of(each)), "bytes": sum(item.bytes for item in found.of(each))}
                    for each in (named or Class)
                },
                "kept": found.kept,
                "items": [item.as_json() for item in found.items],
                "freed": [str(item.folder) for item in freed],
                "skipped": [str(item.folder) for item in skipped],
            }
        )
        return
    for each in named or Class:
        items = found.of(each)
        asked = "" if each in (named or BY_DEFAULT) else f"  (only with --only {each.value})"
        total = sum(item.bytes for item in items)
        click.echo(f"  {each.value:<12} {len(items):>6}  {size(total):>10}  {EXPLAINED[each]}{asked}")
        for item in items if files else ():
            click.echo(f"      {size(item.bytes):>10}  {item.folder}")
    for why, count in found.kept.items():
        click.echo(f"  kept: {count}, since {why}")
    if perform:
        click.echo(f"freed {size(sum(item.bytes for item in freed))} in {len(freed)} places")
        if skipped:
            click.echo(f"skipped {len(skipped)} that a job has begun to use")
    else:
        would = sum(item.bytes for item in chosen)
        click.echo(f"nothing was freed; --perform frees {size(would)} in {len(chosen)} places")
