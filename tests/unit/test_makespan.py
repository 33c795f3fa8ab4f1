"""How long jobs take that need each other, by hand and against a schedule that is carried out."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.makespan import makespan


def test_jobs_share_the_slots():
    assert makespan([("a", 3, ()), ("b", 5, ())], slots=2) == 5
    assert makespan([("a", 3, ()), ("b", 5, ())], slots=1) == 8
    assert makespan([], slots=2) == 0


def test_a_chain_takes_as_long_as_its_jobs():
    chain = [("a", 3, ["not among them"]), ("b", 5, ["a"]), ("c", 1, ["a"]), ("d", 2, ["c", "b"])]
    assert makespan(chain, slots=8) == 10


def carried_out(jobs: list[tuple[str, float, list[str]]], slots: int) -> float:
    """Seconds that jobs take where the first that can begin does."""
    ended, running, waiting, now = set(), [], list(jobs), 0.0
    while waiting or running:
        for job in [job for job in waiting if ended.issuperset(job[2])][: slots - len(running)]:
            heapq.heappush(running, (now + job[1], job[0]))
            waiting.remove(job)
        now, name = heapq.heappop(running)
        ended.add(name)
    return now


@given(st.lists(st.tuples(st.integers(0, 20), st.lists(st.integers(0, 10), max_size=3)), max_size=9), st.integers(1, 4))
def test_no_schedule_is_faster_and_a_greedy_one_takes_less_than_twice_as_long(drawn, slots):
    jobs = [
        (str(place), float(seconds), sorted({str(each % place) for each in needs} if place else set()))
        for place, (seconds, needs) in enumerate(drawn)
    ]
    least = makespan(jobs, slots=slots)
    assert least <= carried_out(jobs, slots) <= 2 * least
