"""`xpm-ce verify`: an experiment's results beside the published ones."""

from pathlib import Path

import click

from xpm_ce.cli.options import as_json, experiment_name, print_json, workdir
from xpm_ce.workspace import Workspace


@click.command("verify")
@click.argument("experiment")
@workdir
@as_json
@click.option(
    "--expected", type=click.Path(path_type=Path), help="File of published numbers; else expected.yaml beside the YAML."
)
def command(experiment: str, workspace: Workspace, as_json: bool, expected: Path | None) -> None:
    """Say of each published number of EXPERIMENT (a YAML file, its folder, or an id) what came of it.

    It is reproduced, or deviates, with the recorded fields that may explain it, or is not run.

    Example: xpm-ce verify experiments/ce_distillation
    """
    from xpm_ce.analysis.expected import read_expected
    from xpm_ce.analysis.verify import expected_file, verify

    file = expected or expected_file(workspace, experiment)
    name = "" if Path(experiment).is_dir() else experiment_name(workspace, experiment)
    verification = verify(workspace, read_expected(file), experiment=name)
    if as_json:
        print_json(verification.as_json())
    else:
        click.echo(verification.render())
