"""A job in Slurm: which ends are followed by another attempt, and what is said where none is."""

import asyncio
import fcntl
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.slurm import StandinSlurm, ends

from xpm_ce.errors import ConfigurationError
from xpm_ce.launch.accounts import assert_accounts
from xpm_ce.launch.attempts import Attempt, written
from xpm_ce.launch.machines import Partition
from xpm_ce.launch.placement import Need
from xpm_ce.launch.slurm import PartitionLauncher
from xpm_ce.launch.slurm_process import PartitionProcess, submit


@pytest.fixture
def slurm(tmp_path) -> StandinSlurm:
    return StandinSlurm(tmp_path / "slurm")


class Job:
    """A job whose script is a few lines of shell, in a folder such as experimaestro makes."""

    def __init__(self, slurm: StandinSlurm, folder: Path, *commands: str, resumable: bool = True):
        folder.mkdir()
        self.folder, self.slurm, self.script = folder, slurm, folder / "thing.sh"
        options = [f"--chdir={folder}", f"--output={folder}/thing.out", f"--error={folder}/thing.err"]
        lines = ["#!/bin/sh", f"# resumable: {'yes' if resumable else 'no'}"]
        lines += [f"#SBATCH {option}" for option in options]
        self.script.write_text("\n".join([*lines, *commands]) + "\n")

    def submitted(self, *, interval: float = 0.1) -> PartitionProcess:
        """Its process, as experimaestro has it and records it."""
        before = written(self.folder)
        attempt = Attempt(submit(self.slurm.binaries, self.script), before)
        process = PartitionProcess(attempt, self.script, binaries=self.slurm.binaries, interval=interval)
        self.record.write_text(json.dumps(process.tospec()))
        return process

    def run(self, *, interval: float = 0.1) -> int:
        """Through all its attempts."""
        return ends(self.submitted(interval=interval))[0]

    @property
    def record(self) -> Path:
        return self.folder / "thing.pid"

    @property
    def failure(self) -> dict:
        return json.loads((self.folder / "failure.json").read_text())


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.01)


STEP = "mkdir -p resume; date +%s%N > resume/step"
"""What a job does that comes further"""
DONE = "touch thing.done"


def test_a_job_that_ends_well_is_submitted_once(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", DONE)
    assert job.run() == 0
    assert slurm.attempts == 1


def test_a_resumable_job_that_met_its_limit_goes_on_as_long_as_it_comes_further(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", STEP, "test -e last && touch thing.done", "touch last", "sleep 60")
    slurm.ends("TIMEOUT")
    assert job.run() == 0
    assert slurm.attempts == 2
    assert not (job.folder / "failure.json").exists()


def test_a_job_that_left_for_its_limit_is_submitted_again(slurm, tmp_path):
    leave = """echo '{"code": 1, "reason": "timeout"}' > thing.failed; exit 1"""
    job = Job(slurm, tmp_path / "job", STEP, "test -e last && touch thing.done && exit 0", "touch last", leave)
    assert job.run() == 0
    assert slurm.attempts == 2
    assert not (job.folder / "thing.failed").exists()


def test_a_job_that_meets_its_limit_without_coming_further_is_given_up_with_a_remedy(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", "sleep 60")
    slurm.ends("TIMEOUT", "TIMEOUT")
    assert job.run() == 1
    assert slurm.attempts == 1
    assert job.failure["exception"] == "TimeLimit"
    assert "Raise its `time`" in job.failure["remedy"]
    assert json.loads((job.folder / "thing.failed").read_text())["reason"] == "failed"


def test_a_job_that_leaves_for_its_limit_without_a_saved_step_is_given_up(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", """echo '{"code": 1, "reason": "timeout"}' > thing.failed; exit 1""")
    assert job.run() == 1
    assert slurm.attempts == 1
    assert "without having come further" in job.failure["what"]
    assert json.loads((job.folder / "thing.failed").read_text())["reason"] == "failed"


def test_a_job_that_cannot_go_on_is_not_submitted_again_after_its_limit(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", STEP, "sleep 60", resumable=False)
    slurm.ends("TIMEOUT")
    assert job.run() == 1
    assert slurm.attempts == 1


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL", "BOOT_FAIL"])
def test_any_job_that_was_pushed_out_or_lost_its_node_is_submitted_again(slurm, tmp_path, state):
    job = Job(slurm, tmp_path / "job", "test -e last && touch thing.done", "touch last", "sleep 60", resumable=False)
    slurm.ends(state)
    assert job.run() == 0
    assert slurm.attempts == 2


def test_a_job_that_never_comes_further_is_given_up_after_some_lost_nodes(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", "sleep 60")
    slurm.ends(*["NODE_FAIL"] * 10)
    assert job.run() == 1
    assert slurm.attempts == 4
    assert job.failure["what"] == "Slurm ended the job (NODE_FAIL)"


@pytest.mark.parametrize(
    ("state", "exception", "remedy"),
    [
        ("OUT_OF_MEMORY", "OutOfMemory", "Raise `memory_gib`"),
        ("CANCELLED", "Cancelled", "Run the same command again"),
        ("FAILED", "Killed", "Run the same command again"),
    ],
)
def test_what_slurm_says_of_a_killed_job_is_its_failure(slurm, tmp_path, state, exception, remedy):
    job = Job(slurm, tmp_path / "job", STEP, "sleep 60")
    slurm.ends(state)
    assert job.run() == 1
    assert slurm.attempts == 1
    assert job.failure["exception"] == exception
    assert remedy in job.failure["remedy"]


def test_a_marker_that_a_shared_file_system_shows_late_is_waited_for(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", "(sleep 3; touch thing.done) > /dev/null 2>&1 &", "exit 0")
    assert job.run(interval=2) == 0
    assert slurm.attempts == 1


UNREACHABLE = "Unable to contact slurm controller (connect failure)"


def test_a_controller_that_is_restarted_is_waited_for(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr("xpm_ce.launch.slurm_process.PAUSES", (0.1, 0.1))
    slurm.refuses(UNREACHABLE, "Socket timed out on send/recv operation")
    assert Job(slurm, tmp_path / "job", DONE).run() == 0
    assert slurm.attempts == 1


def test_a_controller_that_stays_away_and_a_job_that_it_refuses_are_errors(slurm, tmp_path, monkeypatch):
    monkeypatch.setattr("xpm_ce.launch.slurm_process.PAUSES", (0.1,))
    slurm.refuses(UNREACHABLE, UNREACHABLE)
    with pytest.raises(subprocess.CalledProcessError):
        Job(slurm, tmp_path / "first", DONE).run()
    slurm.refuses("Invalid account or account/partition combination specified")
    with pytest.raises(subprocess.CalledProcessError, match="sbatch"):
        Job(slurm, tmp_path / "second", DONE).run()
    assert slurm.attempts == 0


def test_the_cause_that_a_job_gave_itself_stays(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", """echo '{"exception": "DataError"}' > failure.json; exit 1""")
    assert job.run() == 1
    assert job.failure == {"exception": "DataError"}


def test_a_job_that_sbatch_refuses_says_why(slurm, tmp_path):
    slurm.refuses("Invalid account")
    job = Job(slurm, tmp_path / "job", DONE)
    partition = Partition(name="cpu", partition="cpu", binaries=slurm.binaries)
    need = Need(threads=None, memory_gib=None, gpus=0, gpu_memory_gib=None, time=None, exclusive=False)
    builder = PartitionLauncher(partition, need, kind="measure", queue=None).processbuilder()
    builder.command.append(str(job.script))
    with pytest.raises(subprocess.CalledProcessError):
        builder.start()
    assert job.failure["what"] == (
        "sbatch refused the job: sbatch: error: Batch job submission failed: Invalid account"
    )


def test_two_runs_that_wait_for_a_job_submit_it_again_once(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", STEP, "test -e last && touch thing.done", "touch last", "sleep 60")
    slurm.ends("TIMEOUT")
    first = job.submitted()
    later = [
        PartitionProcess(first.attempt, job.script, binaries=slurm.binaries, interval=interval)
        for interval in (0.2, 0.3)
    ]
    assert ends(first, *later) == [0, 0, 0]
    assert slurm.attempts == 2


def test_who_begins_to_wait_after_the_last_saved_step_knows_that_the_attempt_came_further(tmp_path):
    slurm = StandinSlurm(tmp_path / "slurm", moment=5)
    job = Job(slurm, tmp_path / "job", STEP, "test -e last && touch thing.done", "touch last", "sleep 60")
    slurm.ends("TIMEOUT")
    first = job.submitted()
    until((job.folder / "last").exists)
    second = PartitionProcess.fromspec(None, json.loads(job.record.read_text()))
    assert second is not None
    assert ends(second) == [0]
    assert slurm.attempts == 2
    assert ends(first) == [0]


def test_attempts_in_vain_are_counted_over_all_who_wait(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", "sleep 60")
    slurm.ends(*["NODE_FAIL"] * 10)
    first = job.submitted()
    second = PartitionProcess(first.attempt, job.script, binaries=slurm.binaries, interval=0.2)
    assert ends(first, second) == [1, 1]
    assert slurm.attempts == 4
    assert job.failure["what"] == "Slurm ended the job (NODE_FAIL)"


def test_a_job_that_another_run_has_brought_to_its_end_meanwhile_is_not_submitted_again(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", STEP, "sleep 60")
    slurm.ends("TIMEOUT")
    process = job.submitted()

    async def meanwhile() -> int:
        with open(job.folder / "thing.lock", "a") as lock:  # the other run's
            fcntl.flock(lock, fcntl.LOCK_EX)
            end = asyncio.create_task(process.aio_wait())
            await asyncio.sleep(3)
            assert not end.done()
            job.record.unlink()
            (job.folder / "thing.done").touch()
        return await end

    assert asyncio.run(asyncio.wait_for(meanwhile(), timeout=60)) == 0
    assert slurm.attempts == 1


def test_logs_of_all_attempts_are_kept(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", "echo here", STEP, "test -e last && touch thing.done", "touch last", "sleep 60")
    slurm.ends("NODE_FAIL")
    assert job.run() == 0
    assert (job.folder / "thing.out").read_text() == "here\nhere\n"


def test_without_accounts_nothing_is_submitted(slurm):
    assert_accounts(slurm.binaries, where="launchers.yaml: slurm.cpu")
    slurm.without_accounts()
    with pytest.raises(ConfigurationError, match="Slurm accounting storage is disabled") as caught:
        assert_accounts(slurm.binaries, where="launchers.yaml: slurm.cpu")
    assert "waited for without end" in str(caught.value)


def test_a_folder_without_slurm_is_an_error_with_its_place(tmp_path):
    with pytest.raises(ConfigurationError, match=r"launchers.yaml: slurm.cpu.*No such file"):
        assert_accounts(tmp_path, where="launchers.yaml: slurm.cpu")


def test_a_job_is_found_again_by_its_record(slurm, tmp_path):
    job = Job(slurm, tmp_path / "job", "sleep 3", DONE)
    record = job.submitted().tospec()
    found = PartitionProcess.fromspec(None, json.loads(json.dumps(record)))
    assert found is not None
    assert ends(found) == [0]
    assert PartitionProcess.fromspec(None, {**record, "pid": "1"}) is None
