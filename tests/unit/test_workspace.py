"""What the files of a job's folder say about its state."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.workspace import JobFolder, Workspace, runs_here


@pytest.fixture
def folder(tmp_path):
    """A finished job that left one file."""
    place = tmp_path / "jobs" / "xpm_ce.data.thing" / ("ab" * 32)
    place.mkdir(parents=True)
    (place / "result").write_text("four")
    files = [{"path": "result", "bytes": 4, "sha256": "0" * 64}]
    (place / "outputs.json").write_text(json.dumps({"files": files}))
    (place / "thing.done").touch()
    return place


def test_a_job_is_done_when_its_marker_and_its_files_are_there(folder):
    assert JobFolder(folder).state == "done"
    assert JobFolder(folder).complete


def test_a_missing_or_cut_output_is_damage(folder):
    (folder / "result").write_text("fo")
    assert JobFolder(folder).damaged() == ["result"]
    assert JobFolder(folder).state == "damaged"
    (folder / "result").unlink()
    assert not JobFolder(folder).complete


def test_a_folder_without_a_marker_says_what_happened(folder):
    (folder / "thing.done").unlink()
    assert JobFolder(folder).state == "waiting"
    (folder / "thing.pid").touch()
    assert JobFolder(folder).state == "interrupted"
    (folder / "failure.json").write_text('{"what": "it broke"}')
    assert JobFolder(folder).state == "failed"
    with open(folder / "thing.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert JobFolder(folder).state == "running"
    assert JobFolder(folder.with_name("absent")).state == "waiting"


def test_a_process_is_a_jobs_own_only_where_its_command_names_the_script():
    script = Path("/ws/jobs/xpm_ce.data.thing/0123456789abcdef/thing")
    assert not runs_here(os.getpid(), script)
    assert not runs_here(4_194_304, script)


def test_a_job_is_found_by_the_beginning_of_its_identity(folder, tmp_path):
    workspace = Workspace(tmp_path)
    assert workspace.find_job("abab").path == folder
    with pytest.raises(ConfigurationError, match="no job starts with ffff"):
        workspace.find_job("ffff")
    (folder.parent / ("abcd" * 16)).mkdir()
    with pytest.raises(ConfigurationError, match="2 jobs start with ab"):
        workspace.find_job("ab")


def test_the_workspace_is_the_option_then_the_variable_then_a_folder_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XPM_CE_WORKDIR", raising=False)
    assert Workspace.resolve(None).path == tmp_path / "workspace"
    monkeypatch.setenv("XPM_CE_WORKDIR", "/elsewhere")
    assert str(Workspace.resolve(None).path) == "/elsewhere"
    assert Workspace.resolve("mine").path == tmp_path / "mine"


def test_an_unknown_experiment_names_those_that_were_planned(tmp_path):
    plan = Workspace(tmp_path).plan_file("known")
    plan.parent.mkdir(parents=True)
    plan.write_text("{}")
    with pytest.raises(ConfigurationError, match="Experiments planned here: known"):
        Workspace(tmp_path).read_plan("other")


def test_a_damaged_plan_is_an_error_with_its_place(tmp_path):
    plan = Workspace(tmp_path).plan_file("known")
    plan.parent.mkdir(parents=True)
    plan.write_text('{"half')
    with pytest.raises(DataError, match=r"plan.json: this file is not JSON"):
        Workspace(tmp_path).read_plan("known")


@pytest.fixture
def started(folder):
    """The folder of a job that was started and has not ended; gives the folder and its process."""
    (folder / "thing.done").unlink()
    (folder / "outputs.json").unlink()
    (folder / "thing.py").write_text("import time\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, str(folder / "thing.py")])
    (folder / "thing.pid").write_text(json.dumps({"type": "local", "pid": process.pid}))
    yield folder, process
    process.kill()
    process.wait()


def test_a_started_job_waits_for_its_slot_until_it_has_its_lock(started):
    folder, process = started
    assert JobFolder(folder).state == "waiting"
    with open(folder / "thing.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert JobFolder(folder).state == "running"
    process.kill()
    assert process.wait()
    assert JobFolder(folder).state == "interrupted"


def test_a_process_that_has_the_number_of_a_killed_job_is_not_taken_for_it(started):
    folder, _ = started
    (folder / "thing.pid").write_text(json.dumps({"type": "local", "pid": os.getpid()}))
    assert JobFolder(folder).state == "interrupted"


def test_a_job_in_slurm_waits_until_it_has_run_and_after_it_was_submitted_again(folder):
    (folder / "thing.done").unlink()
    status, record = folder / ".experimaestro" / "status.json", folder / "thing.pid"
    status.parent.mkdir()
    record.write_text(json.dumps({"type": "slurm", "pid": "17"}))
    os.utime(record, (100, 100))
    status.write_text(json.dumps({"state": "scheduled"}))
    assert JobFolder(folder).state == "waiting"
    status.write_text(json.dumps({"state": "running"}))
    assert JobFolder(folder).state == "interrupted"
    os.utime(status, (50, 50))
    assert JobFolder(folder).state == "waiting"
