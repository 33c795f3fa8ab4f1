"""How long a plan takes: grids of about 3 000 and 10 000 jobs, with nothing on disk, all of it done, one value changed.

Each plan is made by the command itself, `xpm-ce plan`, in a fresh process. The finished jobs' folders are written first
(untimed): their markers, records and small outputs, without the contents. The last line is JSON.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import yaml

from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.past import remember
from xpm_ce.graph.plan import Plan
from xpm_ce.identity import source_fingerprint
from xpm_ce.jobs import processor
from xpm_ce.workspace import OUTPUTS, Workspace

QUICKSTART = Path(__file__).parent.parent / "experiments" / "quickstart.yaml"
SETS = 5
"""Evaluation sets, each with a collection of its own"""
SEEDS = {"3000": 20, "10000": 66}
"""Seeds of each loss and backbone that give about so many jobs"""
CHANGED = "learner.steps=400"


def quickstart(seeds: int) -> dict[str, Any]:
    """The quickstart with so many seeds."""
    study: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text())
    (axis,) = [name for name in study["grid"] if "seed" in name]
    study["grid"][axis] = list(range(1, seeds + 1))
    return study


def write_study(file: Path, seeds: int) -> None:
    """The quickstart with more seeds and more evaluation sets."""
    study = quickstart(seeds)
    study["evaluation"]["sets"] = [{"split": "test"}] + [
        {"split": "test", "name": f"other{number}", "collection": {"type": "generated", "seed": number}}
        for number in range(1, SETS)
    ]
    file.write_text(yaml.safe_dump(study, sort_keys=False))


def write_finished(plan: Plan, workspace: Workspace) -> None:
    """Leave every job of a plan as if it had run."""
    timed = {"learn": "ledger.json", "rerank": "counts.json"}
    for job in plan.jobs:
        name, module = job.task.rpartition(".")[2], type(job.config).__xpmtype__.value_type.__module__
        job.folder.mkdir(parents=True)
        outputs = {"result": "an output", timed.get(job.kind, "summary.json"): json.dumps({"seconds": 1.5})}
        for path, text in outputs.items():
            (job.folder / path).write_text(text)
        record = {
            "schema": 1, "task": module, "source": source_fingerprint(module), "started": 0.0, "seconds": 2.0,
            "environment": {"threads": 1, "processor": "none", "packages": {}},
            "files": [{"path": path, "bytes": len(text), "sha256": "0" * 64} for path, text in outputs.items()],
        }  # fmt: skip
        (job.folder / OUTPUTS).write_text(json.dumps(record))
        for ending in ("py", "done"):
            (job.folder / f"{name}.{ending}").touch()
    remember(plan.jobs, workspace)


def timed(study: Path, workspace: Path, *options: str) -> dict[str, Any]:
    """Seconds that passed and that the processor worked, and the most memory, of one plan."""
    code = (
        "import resource, sys\nfrom xpm_ce.cli.main import main\n"
        "main()\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "plan", str(study), "--workdir", str(workspace), *options]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise click.ClickException(process.stderr)
    counted = json.loads((workspace / "plans" / "quickstart" / "plan.json").read_text())["counts"]
    return {
        "jobs": sum(counted.values()), "to_run": counted["run"], "wall": round(wall, 2),
        "processor": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_mib": round(int(process.stderr.split()[-1]) / 1024),
    }  # fmt: skip


def best(study: Path, workspace: Path, *options: str, rounds: int) -> dict[str, Any]:
    """The one of several rounds that took the processor least: what else the machine does only adds to it."""
    return min((timed(study, workspace, *options) for _ in range(rounds)), key=lambda figures: figures["processor"])


def measured(folder: Path, seeds: int, rounds: int) -> dict[str, dict[str, Any]]:
    """The three plans of one grid."""
    study, workspace = folder / "study.yaml", folder / "workspace"
    write_study(study, seeds)
    found = {"nothing on disk": best(study, workspace, rounds=rounds)}
    write_finished(prepare(Configuration.load(study), Workspace(workspace)).plan, Workspace(workspace))
    found["all done"] = best(study, workspace, rounds=rounds)
    found["one value changed"] = best(study, workspace, "-c", CHANGED, rounds=rounds)
    return found


@click.command()
@click.option("--quick", is_flag=True, help="One small grid, to see within seconds that it works.")
@click.option("--rounds", default=3, show_default=True, help="Plans of each kind, of which the fastest counts.")
def main(quick: bool, rounds: int) -> None:
    """Time plans of 3 000 and 10 000 jobs."""
    click.echo(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, the fastest of {rounds}")
    told: dict[str, Any] = {}
    for name, seeds in ({"quick": 1} if quick else SEEDS).items():
        with tempfile.TemporaryDirectory() as folder:
            told[name] = measured(Path(folder), seeds, 1 if quick else rounds)
        for what, figures in told[name].items():
            click.echo(
                f"{figures['jobs']} jobs, {what}: {figures['processor']} s of processor time ({figures['wall']} s "
                f"passed), at most {figures['peak_mib']} MiB; {figures['to_run']} to run"
            )
    click.echo(json.dumps(told))


if __name__ == "__main__":
    main()
