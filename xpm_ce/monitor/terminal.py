"""Where an experiment stands, as text: counts by kind, what runs and how far it is, what failed and what that blocks.

Made from the same state as the page. Texts from files are shown without what a terminal would obey.
This module does not know how the state is read, nor when to draw again.
"""

from typing import Any, NamedTuple

from xpm_ce.monitor.job_view import failures
from xpm_ce.monitor.state import ExperimentState
from xpm_ce.monitor.watched_job import RUNNING
from xpm_ce.workspace import coordinates_text

ORDER = ("done", "pruned", "running", "waiting", "blocked", "interrupted", "damaged", "failed")
"""States as they are read from left to right"""
COLOURS = {"done": "32", "running": "36", "failed": "31", "interrupted": "33", "damaged": "31", "blocked": "35"}
"""Colours of a terminal; each state is told by its word too"""
BAR = 20
SHOWN_FAILURES = 6


class Screen(NamedTuple):
    """What there is room for; 0 for no limit."""

    width: int = 0
    height: int = 0
    colour: bool = False


def frame(state: ExperimentState, *, now: float, screen: Screen = Screen(), jobs: bool = False) -> str:  # noqa: B008
    """The state as lines; `jobs` lists every job."""
    head = [f"{plain(state.experiment)}: {len(state.jobs)} jobs in {plain(str(state.workspace.path))}"]
    if (left := state.seconds_left()) is not None:
        head[0] += f", about {duration(left)} left"
    for kind, counts in state.counts_by_kind.items():
        told = (_coloured(f"{counts[each]} {each}", each, screen) for each in ORDER if each in counts)
        head.append(f"  {plain(kind):<14}" + ", ".join(told))
    lines = [*head, *_running(state, now, screen), *_failed(state, screen)]
    if jobs:
        lines += ["", *(_line(job.as_json(now), screen) for job in state.jobs.values())]
    if screen.height and len(lines) > screen.height:
        lines = [*lines[: screen.height - 1], f"... {len(lines) - screen.height + 1} more lines"]
    return "\n".join(_cut(line, screen.width) for line in lines)


def _running(state: ExperimentState, now: float, screen: Screen) -> list[str]:
    running = [job.as_json(now) for job in state.jobs.values() if job.seen == RUNNING]
    lines = []
    for job in running:
        share = job["progress"]
        full = "#" * round(BAR * (share or 0))
        percent = "     " if share is None else f"{100 * share:4.0f}%"
        expected = (job["cost"] or {}).get("seconds")
        of = f" of about {duration(expected[1])}" if expected else ""
        lines.append(
            f"  {_coloured(job['id'][:12], RUNNING, screen)}  [{full:<{BAR}}] {percent}  {plain(job['kind'])} "
            f"{plain(coordinates_text(job['coordinates']))}  {duration(job['seconds'])}{of}  {plain(job['message'])}"
        )
    return ["", f"{len(lines)} running", *lines] if lines else []


def _failed(state: ExperimentState, screen: Screen) -> list[str]:
    groups = failures(state)
    lines = []
    for group in groups[:SHOWN_FAILURES]:
        some = ", ".join(each[:12] for each in group["jobs"][:3]) + (", ..." if len(group["jobs"]) > 3 else "")
        waiting = f"; {len(group['blocked'])} jobs wait for it" if group["blocked"] else ""
        where = f"{plain(group['where'])}: " if group["where"] else ""
        head = f"{len(group['jobs'])} x {plain(group['exception'])}"
        lines.append(f"  {_coloured(head, 'failed', screen)}: {where}{plain(group['what'])} ({some}{waiting})")
        if group["remedy"]:
            lines.append(f"      {plain(group['remedy'])}")
    if len(groups) > SHOWN_FAILURES:
        lines.append(f"  and {len(groups) - SHOWN_FAILURES} more causes")
    return ["", f"{len(groups)} cause{'' if len(groups) == 1 else 's'} of failure", *lines] if lines else []


def _line(job: dict[str, Any], screen: Screen) -> str:
    state = _coloured(f"{job['state']:<11}", job["state"], screen)
    cause = f"  blocked by {job['cause'][:12]}" if job["cause"] else ""
    return f"  {job['id'][:12]}  {state} {plain(job['kind']):<12} {plain(coordinates_text(job['coordinates']))}{cause}"


def duration(seconds: float | None) -> str:
    """A time as people say it."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def plain(text: str) -> str:
    """A text on one line and without anything that a terminal would obey."""
    return "".join(each if each.isprintable() else " " for each in text)


def _coloured(text: str, state: str, screen: Screen) -> str:
    return f"\x1b[{COLOURS[state]}m{text}\x1b[0m" if screen.colour and state in COLOURS else text


def _cut(line: str, width: int) -> str:
    """A line of at most so many characters, colours not counted."""
    if not width:
        return line
    shown, at = 0, 0
    while at < len(line) and shown < width:
        if line[at] == "\x1b":
            at = line.index("m", at) + 1
            continue
        at, shown = at + 1, shown + 1
    rest = line[at:]
    return line if not rest.strip("\x1b[0123456789m") else line[: at - 1] + "…" + ("\x1b[0m" if "\x1b" in line else "")
