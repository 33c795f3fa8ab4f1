"""Slots and devices, held by processes of their own: never by two at once, given back however a process ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xpm_ce.errors import MachineError
from xpm_ce.launch.admission import Share, admit, assert_lockable, default_folder, holders

JOB = """
import json, sys, time
from pathlib import Path
from xpm_ce.launch.admission import Share, admit

folder, seconds, record, share = Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])
devices = admit(Share(str(folder), **{**share, "devices": tuple(share.get("devices", ()))}))
import os
start = time.monotonic()
record.with_suffix(".started").write_text(json.dumps(devices))
time.sleep(seconds)
visible = os.environ.get("CUDA_VISIBLE_DEVICES")
record.write_text(json.dumps({"start": start, "end": time.monotonic(), "devices": devices, "visible": visible}))
"""


class Jobs:
    """Processes that take a share of a machine for some time."""

    def __init__(self, folder: Path):
        self.folder, self.running, self.records = folder, [], []

    def start(self, *, seconds: float, **share) -> tuple[subprocess.Popen, Path]:
        record = self.folder / f"record-{len(self.records)}.json"
        arguments = [str(self.folder / "locks"), str(seconds), str(record), json.dumps(share)]
        self.running.append(subprocess.Popen([sys.executable, "-c", JOB, *arguments]))
        self.records.append(record)
        return self.running[-1], record

    def finished(self) -> list[dict]:
        """What all of them did, after the end of the last."""
        for process in self.running:
            process.wait(timeout=60)
        return [json.loads(record.read_text()) for record in self.records if record.exists()]


@pytest.fixture
def jobs(tmp_path):
    started = Jobs(tmp_path)
    yield started
    for process in started.running:
        process.kill()
        process.wait()


def most_at_once(records: list[dict]) -> int:
    return max(sum(other["start"] <= each["start"] < other["end"] for other in records) for each in records)


def wait_until_started(record: Path) -> None:
    end = time.monotonic() + 60
    while not record.with_suffix(".started").exists():
        assert time.monotonic() < end, "it was never admitted"
        time.sleep(0.01)


def wait_until_queued(jobs: Jobs) -> None:
    """Until somebody is first in the queue for slots."""
    end = time.monotonic() + 60
    while "queue-slots" not in holders(jobs.folder / "locks"):
        assert time.monotonic() < end, "nobody waits"
        time.sleep(0.01)


def test_no_more_processes_than_slots_hold_one(jobs):
    for _ in range(6):
        jobs.start(seconds=0.3, slots=1, of=2)
    done = jobs.finished()
    assert len(done) == 6
    assert most_at_once(done) == 2


def test_a_job_of_several_slots_gets_them_all_and_is_not_passed_by(jobs):
    _, record = jobs.start(seconds=2.0, slots=1, of=2)
    wait_until_started(record)
    jobs.start(seconds=0.2, slots=2, of=2)
    wait_until_queued(jobs)
    jobs.start(seconds=0.2, slots=1, of=2)
    one, two, three = jobs.finished()
    assert two["start"] >= one["end"]
    assert three["start"] >= two["end"]


def test_two_devices_are_never_given_to_two_processes(jobs):
    for _ in range(6):
        jobs.start(seconds=0.3, slots=1, of=6, gpus=1, devices=["left", "right"])
    done = jobs.finished()
    assert len(done) == 6
    for device in ("left", "right"):
        assert most_at_once([each for each in done if each["devices"] == [device]]) == 1
    assert all([each["visible"]] == each["devices"] for each in done)


def test_a_job_without_a_device_sees_none_of_a_machine_that_has_some(jobs):
    jobs.start(seconds=0, slots=1, of=1, gpus=0, devices=["left"])
    jobs.start(seconds=0, slots=1, of=1)
    with_devices, without = jobs.finished()
    assert with_devices["visible"] == ""
    assert without["visible"] == os.environ.get("CUDA_VISIBLE_DEVICES")


def test_a_killed_process_gives_back_what_it_held_at_once(jobs, tmp_path):
    killed, record = jobs.start(seconds=60, slots=1, of=1, gpus=1, devices=["left"])
    wait_until_started(record)
    assert set(holders(tmp_path / "locks")) == {"slot-0", "device-left"}
    assert holders(tmp_path / "locks")["slot-0"].startswith(f"{killed.pid} ")
    _, next_record = jobs.start(seconds=0, slots=1, of=1, gpus=1, devices=["left"])
    while "queue-devices" not in holders(tmp_path / "locks"):
        time.sleep(0.01)
    assert not next_record.with_suffix(".started").exists()
    killed.send_signal(signal.SIGKILL)
    wait_until_started(next_record)
    jobs.finished()
    assert holders(tmp_path / "locks") == {}


def test_a_process_killed_while_it_is_first_in_the_queue_leaves_its_place_to_the_next(jobs):
    _, record = jobs.start(seconds=1.5, slots=1, of=1)
    wait_until_started(record)
    first, _ = jobs.start(seconds=60, slots=1, of=1)
    wait_until_queued(jobs)
    _, second = jobs.start(seconds=0, slots=1, of=1)
    first.send_signal(signal.SIGKILL)
    wait_until_started(second)


def test_a_folder_that_was_emptied_meanwhile_gives_no_slot_twice(jobs, tmp_path):
    """Those who hold a removed file keep what they have; a new file counts for those who come later."""
    _, record = jobs.start(seconds=1, slots=1, of=1)
    wait_until_started(record)
    _, waiting = jobs.start(seconds=0.5, slots=1, of=1)
    wait_until_queued(jobs)
    (tmp_path / "locks" / "slot-0").unlink()
    _, later = jobs.start(seconds=0.5, slots=1, of=1)
    jobs.finished()
    one, two = (json.loads(each.read_text()) for each in (waiting, later))
    assert most_at_once([one, two]) == 1


def test_more_devices_than_there_are_is_an_error(tmp_path):
    with pytest.raises(MachineError, match="2 devices are asked for, but there are 1"):
        admit(Share(str(tmp_path), slots=1, of=1, gpus=2, devices=("left",)))


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match=r"Give local.lock_folder in launchers.yaml"):
        assert_lockable(tmp_path / "file" / "locks")


def test_locks_are_of_a_user_and_a_machine_not_of_a_workspace(monkeypatch, tmp_path):
    monkeypatch.setenv("XPM_CE_LOCKS", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("XPM_CE_LOCKS")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert default_folder() == Path(f"/tmp/xpm-ce-{os.getuid()}")


def test_a_folder_of_another_user_is_refused(monkeypatch, tmp_path):
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(MachineError, match="it belongs to another user"):
        assert_lockable(tmp_path)
