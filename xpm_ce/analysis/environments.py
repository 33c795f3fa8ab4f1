"""In what the environments differ that the results of a table were computed in: versions, processor, threads.

Bit-exact means the same processor, threads and versions; this module does not judge whether a difference matters.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from xpm_ce.analysis.results import Results
from xpm_ce.workspace import JobFolder

COMPUTING = ("learn", "rerank", "retrieve")
"""Kinds of jobs whose environment can change the digits of a result"""

NAMED = 3
"""Rows that a note names; of more it gives the number"""

Environment = frozenset[tuple[str, str]]
"""Fields (a package, python, processor, threads) and their values; a field has several where jobs differ"""

Differing = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Field -> value -> the rows computed with it; fields of one value are left out"""


def environments(results: Results) -> dict[str, Environment]:
    """What each result that is there was computed in, by the identity of its `Measure` job."""
    read: dict[str, Environment] = {}

    def of_job(folder: str) -> Environment:
        if folder not in read:
            read[folder] = _environment(Path(folder))
        return read[folder]

    return {
        measured: frozenset[tuple[str, str]]().union(
            *(of_job(job["folder"]) for job in results.behind(measured) if job["kind"] in COMPUTING)
        )
        for measured in results.folders
    }


def differing(of_rows: Mapping[str, Iterable[Environment]]) -> Differing:
    """In what the environments of rows differ, or those behind one row."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for row, each in of_rows.items():
        for field, value in sorted(frozenset[tuple[str, str]]().union(*each)):
            found.setdefault(field, {}).setdefault(value, {})[row] = None
    return {
        field: {value: tuple(rows) for value, rows in by_value.items()}
        for field, by_value in sorted(found.items())
        if len(by_value) > 1
    }


def note(found: Differing) -> str:
    """A sentence that names what differs; empty where nothing does."""
    parts = [
        f"{field} {', '.join(f'{value} ({_named(rows)})' for value, rows in by_value.items())}"
        for field, by_value in found.items()
    ]
    return f"Computed in different environments: {'; '.join(parts)}." if parts else ""


def _named(rows: tuple[str, ...]) -> str:
    return ", ".join(rows) if len(rows) <= NAMED else f"{len(rows)} rows"


def _environment(folder: Path) -> Environment:
    """What a finished job recorded."""
    recorded: dict[str, Any] = (JobFolder(folder).record or {}).get("environment", {})
    others = {name: recorded[name] for name in ("python", "processor", "threads") if name in recorded}
    return frozenset((name, str(value)) for name, value in {**recorded.get("packages", {}), **others}.items())
