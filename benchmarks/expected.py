"""How near what a plan expects comes to what a run takes: a grid's second seed is expected from its first, and so on.

    python benchmarks/expected.py      # ten minutes on two cores

Each round plans and runs the quickstart with one seed more, by the command itself, in one workspace. Seconds are those
of the jobs that ran, by their own records. The last line is JSON: what was taken, in times of what was expected.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
import yaml
from planning import quickstart

from xpm_ce.jobs import processor
from xpm_ce.workspace import Workspace


def told(what: Sequence[str], study: Path, workspace: Workspace) -> str:
    """What a command on a study, in a fresh process, prints."""
    program = [sys.executable, "-c", "from xpm_ce.cli.main import main; main()", *what]
    command = [*program, str(study), "--workdir", str(workspace.path)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise click.ClickException(process.stdout + process.stderr)
    return process.stdout


class Figures(NamedTuple):
    """What some jobs were expected to take, and what they took."""

    jobs: int
    expected: float
    """Seconds"""
    taken: float
    """Seconds"""


def compared(study: Path, workspace: Workspace) -> dict[str, Figures]:
    """A study planned, then run: its jobs of which something was expected, by kind; together; and until all had run."""
    plan = json.loads(told(["plan", "--json", "--jobs"], study, workspace))
    started = time.perf_counter()
    told(["run"], study, workspace)
    passed = time.perf_counter() - started
    expected, taken = defaultdict(list), defaultdict(list)
    for job in plan["jobs"]:
        if job["cost"] is not None:
            record = workspace.job(job["task"], job["id"]).record
            assert record is not None, "the run ended well"
            expected[job["kind"]].append(job["cost"]["seconds"][1])
            taken[job["kind"]].append(record["seconds"])
    found = {kind: Figures(len(expected[kind]), sum(expected[kind]), sum(taken[kind])) for kind in expected}
    if found and not plan["cost"]["unknown"]:
        jobs, *seconds = map(sum, zip(*found.values(), strict=True))
        found["all jobs"] = Figures(jobs, *seconds)
        found["until all has run"] = Figures(jobs, plan["cost"]["wall_seconds"], passed)
    return found


@click.command()
@click.option("--rounds", default=3, show_default=True, help="Seeds; nothing is expected of the first.")
def main(rounds: int) -> None:
    """Compare what plans expect with what runs take."""
    click.echo(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    ratios: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        study, workspace = Path(folder) / "study.yaml", Workspace(Path(folder) / "workspace")
        for seeds in range(1, rounds + 1):
            study.write_text(yaml.safe_dump(quickstart(seeds), sort_keys=False))
            for what, figures in compared(study, workspace).items():
                ratio = figures.taken / figures.expected
                ratios[what].append(round(ratio, 2))
                click.echo(
                    f"seed {seeds}, {what}: {figures.jobs} jobs, {figures.expected:.1f} s expected, "
                    f"{figures.taken:.1f} s taken: {ratio:.2f}"
                )
    click.echo(json.dumps({"ratios": ratios}))


if __name__ == "__main__":
    main()
