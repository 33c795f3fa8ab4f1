"""Small jobs that share an allocation: each runs once, whatever happens to it or to its neighbours."""

import functools
import json
import sys
import threading
from pathlib import Path

import pytest
from fixtures.slurm import StandinSlurm, ends

from xpm_ce.launch import allocations
from xpm_ce.launch.allocations import CLOSED, TAKEN, Allocations, work
from xpm_ce.launch.attempts import Attempt, written
from xpm_ce.launch.slurm_process import PartitionProcess, submit
from xpm_ce.time_limit import TimeLimit


@pytest.fixture
def slurm(tmp_path) -> StandinSlurm:
    return StandinSlurm(tmp_path / "slurm", moment=3)


class Site:
    """A workspace whose jobs share allocations."""

    def __init__(self, slurm: StandinSlurm, workspace: Path, *, share: int):
        self.slurm, self.workspace = slurm, workspace
        self.allocations = Allocations(
            share, options=["--partition=cpu"], prologue=[slurm.prologue], cores="1", binaries=str(slurm.binaries)
        )

    def job(self, name: str, *commands: str) -> Path:
        """A job whose Python script is a few lines of shell."""
        folder = self.workspace / "jobs" / name
        folder.mkdir(parents=True)
        batch, script = folder / "thing.sh", folder / "thing.py"
        script.write_text("\n".join(["#!/bin/sh", "echo ran", *(commands or ("touch thing.done",))]) + "\n")
        script.chmod(0o755)
        options = [f"--chdir={folder}", f"--output={folder}/thing.out", f"--error={folder}/thing.err"]
        lines = ["#!/bin/sh", "# resumable: no", *(f"#SBATCH {option}" for option in options), f"exec {script}"]
        batch.write_text("\n".join(lines) + "\n")
        return batch

    def enter(self, script: Path) -> PartitionProcess:
        binaries, before = self.slurm.binaries, written(script.parent)
        number = self.allocations.enter(script, self.workspace, functools.partial(submit, binaries))
        return PartitionProcess(Attempt(number, before, shared=True), script, binaries=binaries, interval=0.1)


def runs(script: Path) -> int:
    return script.with_suffix(".out").read_text().count("ran")


@pytest.fixture
def soon_idle(monkeypatch):
    """Allocations that wait for a second only."""
    command = "import xpm_ce.launch.allocations as a; a.work.__kwdefaults__['idle'] = 1.0; a.main()"
    monkeypatch.setattr(allocations, "WORKER", [sys.executable, "-c", command])


def test_jobs_that_share_run_one_after_the_other_in_as_few_allocations_as_hold_them(slurm, tmp_path, soon_idle):
    site = Site(slurm, tmp_path, share=3)
    scripts = [site.job(f"job{number}") for number in range(5)]
    assert ends(*(site.enter(script) for script in scripts)) == [0] * 5
    assert slurm.attempts == 2
    assert [runs(script) for script in scripts] == [1] * 5


def test_a_job_that_dies_fails_alone(slurm, tmp_path, soon_idle):
    site = Site(slurm, tmp_path, share=3)
    scripts = [site.job("one"), site.job("two", "kill -9 $$"), site.job("three")]
    assert ends(*(site.enter(script) for script in scripts)) == [0, 1, 0]
    assert slurm.attempts == 1
    assert json.loads((scripts[1].parent / "failure.json").read_text())["exception"] == "Killed"


def test_jobs_of_an_allocation_that_lost_its_node_are_submitted_on_their_own(slurm, tmp_path, soon_idle):
    site = Site(slurm, tmp_path, share=3)
    scripts = [site.job("one"), site.job("two", "test -e last && touch thing.done", "touch last", "sleep 60")]
    slurm.ends(f"NODE_FAIL@{scripts[1].parent}/last")
    assert ends(*(site.enter(script) for script in scripts)) == [0, 0]
    assert slurm.attempts == 2
    assert [runs(script) for script in scripts] == [1, 2]


def test_a_closed_allocation_is_not_entered(slurm, tmp_path, soon_idle):
    site = Site(slurm, tmp_path, share=3)
    assert ends(site.enter(site.job("one"))) == [0]
    (first,) = tmp_path.glob("allocations/*")
    while not (first / CLOSED).exists():
        pass
    assert ends(site.enter(site.job("two"))) == [0]
    assert slurm.attempts == 2
    assert len(list(tmp_path.glob("allocations/*"))) == 2


def test_an_allocation_that_could_not_be_submitted_is_not_entered_by_the_next(slurm, tmp_path, soon_idle):
    site = Site(slurm, tmp_path, share=3)

    def refused(_script: Path) -> str:
        raise OSError("sbatch: error: Batch job submission failed")

    with pytest.raises(OSError, match="submission failed"):
        site.allocations.enter(site.job("one"), tmp_path, refused)
    assert ends(site.enter(site.job("two"))) == [0]


def test_a_job_is_taken_by_one_of_those_who_reach_for_it(slurm, tmp_path):
    """Eight allocations on one folder, as a race would have it."""
    site = Site(slurm, tmp_path, share=100)
    scripts = [site.job(f"job{number}") for number in range(40)]
    for script in scripts:
        site.allocations.enter(script, tmp_path, lambda _script: "1")
    (folder,) = tmp_path.glob("allocations/*")
    ran: list[int] = []
    threads = [
        threading.Thread(target=lambda: ran.append(work(folder, 100, TimeLimit(lambda: None), idle=0.3)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(ran) == 40
    assert [runs(script) for script in scripts] == [1] * 40
    assert len(list(folder.glob(f"*{TAKEN}"))) == 40


def test_an_allocation_without_time_for_another_job_closes(slurm, tmp_path):
    site = Site(slurm, tmp_path, share=10)
    for number in range(3):
        site.allocations.enter(site.job(f"job{number}"), tmp_path, lambda _script: "1")
    (folder,) = tmp_path.glob("allocations/*")
    assert work(folder, 10, TimeLimit(lambda: 1.0), idle=0.3) == 1
    assert (folder / CLOSED).exists()
