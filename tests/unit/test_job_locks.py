"""Who starts a job that two runs want: a lock that looks again before it is believed."""

import asyncio
import json
import os
import subprocess
import sys

import pytest
from experimaestro.exceptions import GracefulTimeout

from xpm_ce.launch import sharing
from xpm_ce.launch.sharing import JobConnector


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(sharing, "SETTLING", 0.0)


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / ("ab" * 32)
    folder.mkdir()
    return folder / "thing"


def acquire(job) -> bool:
    """Whether the lock says that the job is to be started; it is free afterwards."""

    async def look() -> bool:
        lock = JobConnector().async_lock(job.with_suffix(".lock"))
        try:
            await asyncio.wait_for(lock.aio_acquire(), timeout=20)
        except GracefulTimeout:
            assert not lock.acquired
            return False
        await lock.aio_release()
        return True

    return asyncio.run(look())


def test_a_job_that_nobody_started_is_started(job):
    assert acquire(job)
    assert acquire(job)


def test_a_job_that_ended_well_meanwhile_is_not_started_again(job):
    job.with_suffix(".done").touch()
    assert not acquire(job)


def test_a_job_whose_process_lives_is_not_started_again(job):
    job.with_suffix(".py").write_text("import time\ntime.sleep(60)\n")
    process = subprocess.Popen([sys.executable, str(job.with_suffix(".py"))])
    try:
        job.with_suffix(".pid").write_text(json.dumps({"type": "local", "pid": process.pid}))
        assert not acquire(job)
    finally:
        process.kill()
        process.wait()
    assert acquire(job)


@pytest.mark.parametrize("text", ["", "{"])
def test_a_record_that_was_cut_is_no_process(job, text):
    job.with_suffix(".pid").write_text(text)
    assert acquire(job)


def test_a_number_that_another_program_has_by_now_is_forgotten(job):
    """experimaestro would wait for that program."""
    job.with_suffix(".pid").write_text(json.dumps({"type": "local", "pid": os.getpid()}))
    assert acquire(job)
    assert not job.with_suffix(".pid").exists()


def test_a_process_of_another_machine_is_left_to_the_lock(job):
    record = {"type": "local", "pid": os.getpid(), "host": "elsewhere"}
    job.with_suffix(".pid").write_text(json.dumps(record))
    assert acquire(job)
    assert json.loads(job.with_suffix(".pid").read_text()) == record


def test_a_lock_that_is_held_is_waited_for(job):
    async def both() -> list[str]:
        first = JobConnector().async_lock(job.with_suffix(".lock"))
        second = JobConnector().async_lock(job.with_suffix(".lock"))
        told = []
        await first.aio_acquire()

        async def other() -> None:
            try:
                await second.aio_acquire()
            except GracefulTimeout:
                told.append("looked again")

        waiting = asyncio.create_task(other())
        await asyncio.sleep(0.3)
        told.append("ended")
        job.with_suffix(".done").touch()
        await first.aio_release()
        await asyncio.wait_for(waiting, timeout=20)
        return told

    assert asyncio.run(both()) == ["ended", "looked again"]
