"""Waiting for a page. Playwright's own wait evaluates text within the page, which the page's policy refuses."""

from typing import Any


def until(page: Any, expression: str, *, within: float = 20_000) -> None:
    """Wait until a JavaScript expression holds; AssertionError after `within` milliseconds."""
    for _ in range(int(within / 50)):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"after {within / 1000:.0f} s it does not hold that {expression}")
