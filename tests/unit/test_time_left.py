"""How long an experiment will still take, by hand."""

from pathlib import Path

import pytest

from xpm_ce.monitor.time_left import seconds_left
from xpm_ce.monitor.watched_job import WatchedJob

NOW = 1000.0


def job(
    name: str, seen: str, kind="learn", *, expected=None, took=None, needs=(), cause=None, **seen_of_it
) -> WatchedJob:
    cost = None if expected is None else {"seconds": [0.5 * expected, expected, 2 * expected]}
    plan = {"id": name, "kind": kind, "state": "run", "depends_on": list(needs), "cost": cost}
    if took is not None:
        seen_of_it |= {"started": NOW - took - 500, "ended": NOW - 500}
    return WatchedJob(plan, Path(name), seen=seen, cause=cause, **seen_of_it)


def left(*jobs: WatchedJob, slots=1) -> float | None:
    return seconds_left(jobs, slots=slots, now=NOW)


def test_what_is_left_is_what_was_expected_shared_by_the_slots():
    running = job("a", "running", expected=100, progress=0.25)
    waiting = [job(name, "waiting", expected=100) for name in "bcd"]
    assert left(running, *waiting) == 375
    assert left(running, *waiting, slots=3) == 125
    assert left(running, job("e", "running", expected=100, progress=0.75), *waiting) == 200  # two run


def test_a_chain_takes_as_long_as_its_jobs_after_each_other():
    running = job("a", "running", expected=100, progress=0.5)
    chain = [job("b", "waiting", expected=30, needs="a"), job("c", "waiting", expected=5, needs="b")]
    assert left(running, *chain, slots=8) == 85


def test_jobs_that_have_ended_tell_the_pace():
    done = [job("x", "done", expected=10, took=30), job("y", "done", expected=30, took=50)]
    assert left(*done, job("a", "running", expected=100, progress=0.5)) == 100


def test_without_progress_the_time_that_it_runs_counts():
    assert left(job("a", "running", expected=100, started=NOW - 70)) == 30
    assert left(job("a", "running", expected=100, started=NOW - 170)) == 0


def test_where_the_plan_does_not_know_jobs_of_the_kind_tell():
    done = [job("x", "done", took=10), job("y", "done", took=30), job("z", "done", "measure", took=1)]
    assert left(*done, job("a", "running", progress=0.5), job("b", "waiting"), job("c", "waiting", "measure")) == 31
    assert left(*done, job("a", "running", progress=0.5), job("b", "waiting", "rerank")) is None


@pytest.mark.parametrize("seen", ["done", "failed", "waiting", "interrupted"])
def test_where_nothing_runs_nothing_is_left_to_wait_for(seen):
    assert left(job("a", seen, expected=10)) is None


def test_what_waits_for_a_failed_job_is_not_waited_for():
    failed = job("x", "failed", expected=10)
    assert (
        left(
            failed,
            job("b", "waiting", expected=10, needs="x", cause="x"),
            job("a", "running", expected=8, progress=0.5),
        )
        == 4
    )
