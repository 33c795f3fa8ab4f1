"""Two jobs of a workspace, or two studies, side by side: the fields in which they differ.

This module does not know which differences matter.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xpm_ce.errors import ConfigurationError
from xpm_ce.graph.changes import Comparison
from xpm_ce.graph.past import PastJobs
from xpm_ce.graph.signature import Signature, signatures_in
from xpm_ce.graph.states import Change
from xpm_ce.settings.document import load
from xpm_ce.workspace import JobFolder, Workspace


def changes_of_jobs(workspace: Workspace, before: JobFolder, after: JobFolder) -> tuple[Change, ...]:
    """The fields in which two jobs differ, those of what they take in included.

    ConfigurationError for jobs of two types, and where a job has left nothing that says what it is.
    """
    past = PastJobs(workspace)
    read: dict[str, Signature] = {**signatures_in(before.path), **signatures_in(after.path)}

    def signature(identity: str) -> Signature | None:
        return read.get(identity) or past.signature(identity)

    for folder in (before, after):
        if signature(folder.identity) is None:
            raise ConfigurationError(
                f"job {folder.identity[:12]} has left no params.json",
                where=str(folder.path),
                remedy="Compare jobs that were started.",
            )
    if before.task != after.task:
        raise ConfigurationError(
            f"a {before.name} and a {after.name} have no fields in common",
            remedy="Compare two jobs of one type; `xpm-ce status --jobs` lists them.",
        )
    return Comparison(signature).changes(before.identity, after.identity)


def changes_of_files(before: Path, after: Path) -> tuple[Change, ...]:
    """The keys in which two YAML files differ, what they import included; of lists of sections, by place."""
    one, other = (dict(_flat("", load(file).plain())) for file in (before, after))
    names = [*one, *(name for name in other if name not in one)]
    return tuple(Change(name, one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        value = {str(place): each for place, each in enumerate(value)}
    if not isinstance(value, Mapping) or not value:
        yield path, value
        return
    for name, below in value.items():
        yield from _flat(f"{path}.{name}" if path else str(name), below)
