"""Where an experiment stands, as the monitor and the terminal read it from a synthetic workspace."""

import fcntl
import json
import os
import shutil
import time
from pathlib import Path

import pytest
from synthetic_workspace import Synthetic

from xpm_ce.errors import DataError
from xpm_ce.monitor import observed
from xpm_ce.monitor import state as state_module
from xpm_ce.monitor.answers import as_bytes
from xpm_ce.monitor.batch import SlurmQueue
from xpm_ce.monitor.events import IDLE
from xpm_ce.monitor.state import ExperimentState, NotThereError, WorkspaceState
from xpm_ce.monitor.watched_job import WatchedJob
from xpm_ce.workspace import JobFolder, Workspace

JOBS = 400


@pytest.fixture(autouse=True)
def _trusted_stamps(monkeypatch):
    """Folders of a test are written and read within a tick of the clock: none is skipped for being young."""
    monkeypatch.setattr(state_module, "GRAIN_NS", 0)


@pytest.fixture
def synthetic(tmp_path) -> Synthetic:
    return Synthetic(tmp_path / "workspace", jobs=JOBS)


def read(synthetic: Synthetic) -> ExperimentState:
    state = ExperimentState(synthetic.workspace, "synthetic")
    state.refresh()
    return state


def folder_of(state: ExperimentState, identity: str) -> Path:
    return state.job(identity).path


def first(state: ExperimentState, seen: str, kind: str = "") -> str:
    return next(job.id for job in state.jobs.values() if job.state == seen and kind in ("", job.plan["kind"]))


def test_states_are_those_that_a_job_folder_tells_of_itself(synthetic):
    state = read(synthetic)
    for job in state.jobs.values():
        assert job.seen == JobFolder(job.path).state
    assert sum(state.counts.values()) == JOBS
    assert {"done", "failed", "interrupted", "blocked", "waiting"} <= set(state.counts)


def test_a_job_that_waits_for_a_failed_one_is_blocked_and_names_it(synthetic):
    state = read(synthetic)
    failed = first(state, "failed")
    rerank = next(each for each in state.needed_by(failed))
    measure = next(each for each in state.needed_by(rerank))
    for identity in (rerank, measure):
        assert (state.job(identity).state, state.job(identity).cause) == ("blocked", failed)
        assert identity in state.blocked_by(failed)
    assert all(state.job(each).cause is None for each in state.jobs if state.job(each).state != "blocked")


def test_when_the_cause_is_mended_what_it_blocked_waits_again(synthetic):
    state = read(synthetic)
    failed = first(state, "failed")
    blocked = state.blocked_by(failed)
    shutil.rmtree(folder_of(state, failed))
    before = state.version
    assert state.refresh().jobs > before.jobs
    assert state.job(failed).state == "waiting"
    assert {state.job(each).state for each in blocked} == {"waiting"}
    changed = {job["id"] for job in state.jobs_as_json(since=before.jobs)}
    assert changed == {failed, *blocked}


def test_nothing_that_changed_is_told_twice(synthetic):
    state = read(synthetic)
    version = state.version
    assert state.refresh() == version
    assert state.jobs_as_json(since=version.jobs) == []
    assert len(state.jobs_as_json()) == JOBS


def test_the_time_left_runs_down_and_is_estimated_anew_now_and_then(synthetic, monkeypatch):
    assert read(synthetic).seconds_left() is None
    with synthetic.live():
        synthetic.tell(0.1)
        state = read(synthetic)
        early = state.seconds_left()
        synthetic.tell(0.9)
        state.refresh()
        assert early - 60 < state.seconds_left() <= early
        monkeypatch.setattr(state_module, "ESTIMATED_EVERY", 0.0)
        late = state.seconds_left()
        assert late < early - 60
        monkeypatch.setattr(state_module, "ESTIMATED_EVERY", 3600.0)
        synthetic.finish(synthetic.running[0])
        state.refresh()
        assert abs(state.seconds_left() - late) > 60  # that it has ended tells the pace of the others, too


def test_a_running_job_tells_its_progress_and_when_it_ends_results_change(synthetic):
    with synthetic.live():
        state = read(synthetic)
        running = [job.id for job in state.jobs.values() if job.state == "running"]
        assert set(running) == {job["id"] for job in synthetic.running}
        synthetic.tell(0.25)
        before = state.version
        state.refresh()
        told = {job["id"]: job for job in state.jobs_as_json(since=before.jobs)}
        assert set(told) == set(running)
        job = told[running[0]]
        assert (job["progress"], job["message"]) == (0.25, "step 15 of 60")
        assert 0 <= job["seconds"] < 60
        assert job["cost"]["seconds"] == [900.0, 1200.0, 1800.0]
        synthetic.finish(synthetic.running[0])
        assert state.refresh().results > before.results
        assert state.job(running[0]).as_json(time.time())["progress"] == 1.0
    state.refresh()
    assert state.job(running[1]).state == "interrupted"


def test_a_settled_job_whose_files_go_is_noticed_within_a_round(synthetic):
    state = read(synthetic)
    done = first(state, "done", "learn")
    (folder_of(state, done) / "curve.csv").unlink()
    rounds = -(-JOBS // state_module.CHECKED_AGAIN)
    seen = []
    for _ in range(rounds):
        state.refresh()
        seen.append(state.job(done).state)
    assert seen[-1] == "damaged"


def test_a_new_plan_is_read_and_readers_of_the_old_one_start_again(synthetic):
    state = read(synthetic)
    before = state.version.jobs
    file = synthetic.workspace.plan_file("synthetic")
    plan = json.loads(file.read_text())
    plan["jobs"] = plan["jobs"][:10]
    file.write_text(json.dumps(plan))
    state.refresh()
    assert state.replanned > before
    assert len(state.jobs) == 10


def test_versions_do_not_go_down_over_restarts(synthetic):
    before = read(synthetic).version
    time.sleep(0.002)
    assert read(synthetic).version.jobs > before.jobs


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../../../etc"},
        {"id": 5},
        {"task": "../../etc"},
        {"task": "a/b"},
        {"depends_on": None},
        {"coordinates": []},
    ],
)
def test_a_plan_that_names_other_folders_than_jobs_is_refused(synthetic, change):
    file = synthetic.workspace.plan_file("synthetic")
    plan = json.loads(file.read_text())
    plan["jobs"][3].update(change)
    file.write_text(json.dumps(plan))
    with pytest.raises(DataError, match="not of the form"):
        read(synthetic)


def test_a_job_folder_that_is_a_link_out_of_the_workspace_is_not_read(synthetic, tmp_path):
    state = read(synthetic)
    done = first(state, "done", "measure")
    folder = folder_of(state, done)
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    other = read(synthetic)
    assert other.job(done).state == "waiting"
    assert other.job(done).started is None


def test_a_link_among_the_files_of_a_job_makes_it_damaged(synthetic, tmp_path):
    state = read(synthetic)
    done = first(state, "done", "measure")
    record = folder_of(state, done) / "outputs.json"
    record.rename(tmp_path / "outputs.json")
    record.symlink_to(tmp_path / "outputs.json")
    assert read(synthetic).job(done).state == "damaged"


WRONG = (
    "", "{", "[]", "5", '{"started": "x"}', '{"files": 3, "started": 1, "seconds": 1}',
    '{"started": Infinity, "seconds": NaN, "files": []}',
)  # fmt: skip


@pytest.mark.parametrize("content", WRONG)
@pytest.mark.parametrize("name", ["outputs.json", "failure.json", "learner.failed"])
def test_files_that_are_not_what_a_job_writes_are_told_and_nothing_breaks(synthetic, name, content):
    state = read(synthetic)
    job = first(state, "done" if name == "outputs.json" else "failed", "learn")
    (folder_of(state, job) / name).write_text(content)
    seen = read(synthetic).job(job)
    assert seen.state in ("damaged", "failed", "done")
    json.loads(as_bytes(seen.as_json(time.time())), parse_constant=pytest.fail)


def test_a_job_that_was_stopped_is_interrupted_and_says_so(synthetic):
    state = read(synthetic)
    failed = first(state, "failed")
    folder = folder_of(state, failed)
    (folder / "failure.json").unlink()
    (folder / "learner.failed").write_text('{"code": 15, "reason": "cancelled"}')
    job = read(synthetic).job(failed)
    assert (job.state, job.words) == ("interrupted", "stopped")


def test_reading_jobs_takes_no_lock_of_them(synthetic, monkeypatch):
    """A reader that held a job's lock for a moment could keep the job from starting."""
    with synthetic.live():
        monkeypatch.setattr(fcntl, "flock", lambda *_: pytest.fail("a lock was taken"))
        monkeypatch.setattr(fcntl, "lockf", lambda *_: pytest.fail("a lock was taken"))
        assert read(synthetic).counts["running"] == len(synthetic.running)


def test_a_job_that_was_started_and_has_not_its_lock_yet_waits_for_its_turn(synthetic):
    with synthetic.live():
        state = read(synthetic)
        job = state.job(synthetic.running[0]["id"])
        lock = job.path / "learner.lock"
        lock.rename(job.path / "aside")
        lock.touch()
        state.refresh()
        assert (job.state, job.queued, job.words) == ("waiting", True, "started, waits for its turn")
        before = job.path.stat().st_mtime_ns
        (job.path / "aside").rename(lock)
        os.utime(job.path, ns=(before, before))  # nothing in the folder tells it
        state.refresh()
        assert job.state == "running"


BY_STATUS = {"running": "running", "scheduled": "waiting", "error": "interrupted", "": "interrupted"}


def of_slurm(synthetic: Synthetic, status: str) -> WatchedJob:
    job = read(synthetic).job(synthetic.running[0]["id"])
    (job.path / "learner.pid").write_text(json.dumps({"type": "slurm", "pid": "17", "options": []}))
    (job.path / ".experimaestro" / "status.json").write_text(json.dumps({"state": status}))
    os.utime(job.path / "learner.pid", (1e9, 1e9))
    return read(synthetic).job(job.id)


def test_slurm_is_asked_seldom_and_what_came_after_its_answer_is_not_gone(monkeypatch, tmp_path):
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho 17 RUNNING\necho x >> {tmp_path}/asked\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    queue = SlurmQueue()
    assert queue.state_of(17, started=1e9) == "RUNNING"
    assert queue.state_of(18, started=1e9) == ""
    assert queue.state_of(19, started=time.time() + 1) is None
    assert (tmp_path / "asked").read_text() == "x\n"


@pytest.mark.parametrize("status", BY_STATUS)
def test_a_job_of_slurm_is_what_its_scheduler_says_where_slurm_is_not_here(synthetic, monkeypatch, status):
    monkeypatch.setattr(observed, "QUEUE", SlurmQueue())
    monkeypatch.setenv("PATH", "")
    with synthetic.live():
        job = of_slurm(synthetic, status)
        assert (job.state, job.queued) == (BY_STATUS[status], status == "scheduled")


SAID_BY_SLURM = {"17 RUNNING": "running", "17 PENDING": "waiting", "18 RUNNING": "interrupted"}


@pytest.mark.parametrize("line", SAID_BY_SLURM)
def test_a_job_of_slurm_is_what_slurm_says(synthetic, monkeypatch, tmp_path, line):
    """Whoever started it may have been killed since, and its status.json then says running for ever."""
    (tmp_path / "squeue").write_text(f"#!/bin/sh\necho {line}\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setattr(observed, "QUEUE", SlurmQueue())
    monkeypatch.setenv("PATH", str(tmp_path))
    with synthetic.live():
        assert of_slurm(synthetic, "running").state == SAID_BY_SLURM[line]


def test_an_unknown_experiment_or_job_is_not_there(synthetic):
    states = WorkspaceState(synthetic.workspace)
    for name in ("other", "../synthetic", "synthetic/../synthetic", "."):
        with pytest.raises(NotThereError):
            states.experiment(name)
    with pytest.raises(NotThereError):
        states.experiment(None).job("ab")


def test_an_empty_workspace_says_how_to_begin(tmp_path):
    with pytest.raises(NotThereError, match="xpm-ce run"):
        WorkspaceState(Workspace(tmp_path / "nothing")).experiment(None)


def test_a_look_at_five_thousand_jobs_costs_an_idle_page_little(tmp_path):
    state = read(Synthetic(tmp_path / "workspace", jobs=5000, done=1.0))
    before = time.process_time()
    for _ in range(20):
        state.refresh()
    assert (time.process_time() - before) / 20 < 0.02 * IDLE
