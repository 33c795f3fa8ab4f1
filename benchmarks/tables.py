"""How long a full table takes: 162 learners, 22 test sets, paired tests against baselines, corrected over the family.

Result files of the sizes of the real study are drawn first (untimed, kept in --workdir); then each table is made by the
command itself, `xpm-ce table`, in a fresh process. The last line is JSON.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from result_files import SMALL, Shape, write_study

from xpm_ce.workspace import Workspace

EXPERIMENT = "study"
TABLES = {
    "means": [],
    "t": ["--baseline", "loss=BCE", "--test", "t"],
    "randomisation": ["--baseline", "loss=BCE", "--test", "randomisation"],
    "t_two_baselines": ["--baseline", "loss=BCE", "--baseline", "BM25", "--test", "t"],
}
"""Options of each table that is timed"""


def timed(workspace: Path, options: list[str]) -> dict[str, Any]:
    """Seconds that passed and that the processor worked, and the most memory, of one table."""
    arguments = ["table", EXPERIMENT, "--workdir", str(workspace), "--rows", "backbone,loss", "--cols", "protocol"]
    code = "from xpm_ce.cli.main import main; main()"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run([sys.executable, "-c", code, *arguments, *options], capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise click.ClickException(process.stderr)
    return {
        "wall": round(wall, 2),
        "processor": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mib": round(after.ru_maxrss / 1024),
        "marks": process.stdout.count("↑") + process.stdout.count("↓"),
    }


@click.command()
@click.option("--quick", is_flag=True, help="A tiny study, to see within seconds that it works.")
@click.option(
    "--workdir", type=click.Path(path_type=Path), help="Where result files are kept; else a temporary folder."
)
def main(quick: bool, workdir: Path | None) -> None:
    """Time tables of 3 564 evaluations with values per query."""
    shape = SMALL if quick else Shape()
    with tempfile.TemporaryDirectory() as temporary:
        folder = workdir or Path(temporary)
        workspace = Workspace(folder)
        learners = len(shape.losses) * len(shape.backbones) * shape.seeds
        if not workspace.plan_file(EXPERIMENT).exists():
            write_study(workspace, EXPERIMENT, shape)
        click.echo(f"{learners} learners x {len(shape.protocols)} sets, {sum(shape.protocols.values())} queries")
        spent = {}
        for name, options in TABLES.items():
            spent[name] = timed(folder, options)
            click.echo(f"{name:<16} " + "  ".join(f"{key} {value}" for key, value in spent[name].items()))
    # the peak of processes that have ended is the largest so far, hence one figure for all
    memory = max(each["peak_mib"] for each in spent.values())
    click.echo(json.dumps({"evaluations": learners * len(shape.protocols), "peak_mib": memory, "tables": spent}))


if __name__ == "__main__":
    main()
