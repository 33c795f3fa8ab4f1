"""Slots: how many at once, who goes next."""

import asyncio

import pytest

from xpm_ce.launch.slots import Slots


class Waiter:
    """Something that waits for a slot, and whose state can say that it ended."""

    class scheduler_state:
        @staticmethod
        def finished() -> bool:
            return True


def order_of_service(requests: list[tuple[str, int]], *, count: int) -> list[str]:
    """Names in the order in which they get a slot, when each gives it back at once."""
    served = []

    async def run() -> None:
        slots = Slots(count)
        holders = [Waiter() for _ in range(count)]
        for holder in holders:
            await slots.acquire(holder, priority=0, order=-1)

        async def one(name: str, priority: int, order: int) -> None:
            waiter = Waiter()
            await slots.acquire(waiter, priority, order)
            served.append(name)
            slots.on_job_state_changed(waiter)

        waiting = [asyncio.create_task(one(name, prio, order)) for order, (name, prio) in enumerate(requests)]
        await asyncio.sleep(0)
        for holder in holders:
            slots.on_job_state_changed(holder)
        await asyncio.gather(*waiting)

    asyncio.run(run())
    return served


def test_a_smaller_priority_goes_first_then_the_earlier_request():
    requests = [("learn 1", 3), ("learn 2", 3), ("rerank", 1), ("measure", 0)]
    assert order_of_service(requests, count=1) == ["measure", "rerank", "learn 1", "learn 2"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_more_jobs_hold_a_slot_than_there_are(count):
    async def run() -> int:
        slots, at_once, most = Slots(count), 0, 0

        async def one(order: int) -> None:
            nonlocal at_once, most
            waiter = Waiter()
            await slots.acquire(waiter, 0, order)
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.001)
            at_once -= 1
            slots.on_job_state_changed(waiter)

        await asyncio.gather(*(one(order) for order in range(12)))
        return most

    assert asyncio.run(run()) == count


def test_a_job_that_ends_twice_gives_one_slot_back():
    async def run() -> bool:
        slots, first, second, third = Slots(1), Waiter(), Waiter(), Waiter()
        await slots.acquire(first, 0, 0)
        slots.on_job_state_changed(first)
        slots.on_job_state_changed(first)
        await slots.acquire(second, 0, 1)
        waiting = asyncio.create_task(slots.acquire(third, 0, 2))
        await asyncio.sleep(0.01)
        still_waiting = not waiting.done()
        slots.on_job_state_changed(second)
        await waiting
        return still_waiting

    assert asyncio.run(run())


def test_a_job_that_starts_again_keeps_its_slot():
    async def run() -> None:
        slots, job = Slots(1), Waiter()
        await slots.acquire(job, 0, 0)
        await asyncio.wait_for(slots.acquire(job, 0, 1), timeout=1)

    asyncio.run(run())
