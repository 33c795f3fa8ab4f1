"""`xpm-ce doctor`: whether this machine is ready, and what to do where it is not."""

import collections
import sys
from pathlib import Path

import click

from xpm_ce.cli.options import as_json, launchers, overrides, print_json, workdir
from xpm_ce.workspace import Workspace


@click.command("doctor")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@overrides
@workdir
@launchers
@as_json
def command(
    file: Path | None, overrides: tuple[str, ...], workspace: Workspace, launchers: Path | None, as_json: bool
) -> None:
    """Look at software, machine, launchers.yaml, Slurm and the workspace, and at the data that FILE needs.

    Nothing is downloaded, nothing is run. Exit code 1 where something is wrong.

    Example: xpm-ce doctor experiments/quickstart.yaml
    """
    from xpm_ce.doctor.examination import data, examined
    from xpm_ce.doctor.finding import Verdict
    from xpm_ce.experiment import launchers_file

    found = []
    for finding in examined(workspace, launchers_file(launchers)):
        found.append(finding)
        if not as_json:
            click.echo(finding.render())
    if file is not None:
        from xpm_ce.graph.build import planned
        from xpm_ce.graph.needs import needs_of_plan
        from xpm_ce.graph.study import Study

        for finding in data(needs_of_plan(planned(Study.load(file, overrides), workspace).jobs)):
            found.append(finding)
            if not as_json:
                click.echo(finding.render())
    counts = collections.Counter(finding.verdict.value for finding in found)
    if as_json:
        print_json({"schema": 1, "counts": dict(counts), "findings": [finding.as_json() for finding in found]})
    else:
        click.echo(", ".join(f"{number} {verdict}" for verdict, number in counts.items()))
    if counts[Verdict.FAIL.value]:
        sys.exit(1)
