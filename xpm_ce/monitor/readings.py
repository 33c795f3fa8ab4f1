"""What the views of results are made of, read once and kept until it changes: results, courses, texts, judgements.

Nothing is computed here: `analysis` does that. Folders that lead out of the workspace, or hold links, are as if they
were not there. This module does not know how a view looks.
"""

import collections
import os
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xpm_ce.errors import DataError, XpmCeError
from xpm_ce.monitor.inside import Inside
from xpm_ce.monitor.observed import ObservedFolder
from xpm_ce.monitor.state import ExperimentState
from xpm_ce.workspace import JobFolder, Workspace

if TYPE_CHECKING:
    from xpm_ce.analysis.curves import TrainingCourse
    from xpm_ce.analysis.results import Results
    from xpm_ce.analysis.systems import MeasuredSystem
    from xpm_ce.analysis.top_documents import ScoredDocument
    from xpm_ce.data.stored_documents import StoredDocuments

KEPT = {"course": 4096, "ranking": 256, "queries": 32, "qrels": 8, "documents": 8}
MANY = 32
"""Readings of a kind that are kept, the last used; of other kinds"""

Read = TypeVar("Read")


class Readings:
    """Readings of one workspace; safe to use from several threads, which wait for each other."""

    def __init__(self, workspace: Workspace, inside: Inside):
        self.workspace, self.inside = _CheckedWorkspace(workspace.path, inside), inside
        self._lock = threading.RLock()
        self._kept: dict[str, collections.OrderedDict[Hashable, tuple[Hashable, Any]]] = {}

    def kept(self, key: tuple[Hashable, ...], stamp: Hashable, read: Callable[[], Read]) -> Read:
        """What was read for a key while its stamp was the same, read now otherwise."""
        with self._lock:
            of_kind = self._kept.setdefault(str(key[0]), collections.OrderedDict())
            found = of_kind.get(key)
            if found is None or found[0] != stamp:
                found = (stamp, read())
                of_kind[key] = found
            of_kind.move_to_end(key)
            while len(of_kind) > KEPT.get(str(key[0]), MANY):
                of_kind.popitem(last=False)
            return found[1]

    def results(self, state: ExperimentState) -> "Results":
        """The results of an experiment; DataError where files of it are not what is read here."""
        from xpm_ce.analysis.results import read_results

        def read() -> "Results":
            try:
                return read_results(self.workspace, state.experiment)
            except (KeyError, TypeError, AttributeError) as error:
                raise DataError(
                    f"the results are not of the form that is read here ({error!r})",
                    where=state.experiment,
                    remedy="Plan and run the experiment again with this version.",
                ) from error

        return self.kept(("results", state.experiment), state.finished, read)

    def systems(self, state: ExperimentState) -> "dict[str, MeasuredSystem]":
        """What was measured, by its name in full."""
        from xpm_ce.analysis.systems import named_systems

        return self.kept(("systems", state.experiment), state.finished, lambda: named_systems(self.results(state)))

    def course(self, folder: Path) -> "TrainingCourse":
        """What a training wrote so far, without points where its folder is not to be read."""
        from xpm_ce.analysis.curves import CURVE, VALIDATION, TrainingCourse, read_course

        stamp = tuple(_stamp(folder / name) for name in (CURVE, VALIDATION))

        def read() -> "TrainingCourse":
            try:
                return read_course(self.inside.folder(folder))
            except (DataError, OSError, ValueError, KeyError, TypeError):
                return TrainingCourse((), (), "")

        return self.kept(("course", folder), stamp, read)

    def queries(self, folder: Path) -> dict[str, str]:
        """The queries that a job was given, none where they cannot be read here."""
        from xpm_ce.data.recorded import recorded_queries

        return self._part(
            "queries", folder, lambda: recorded_queries(self.workspace, self.inside.folder(folder)).read()
        )

    def qrels(self, folder: Path) -> dict[str, dict[str, int]]:
        """The judgements that a job was given, none where they cannot be read here."""
        from xpm_ce.data.recorded import recorded_qrels

        return self._part("qrels", folder, lambda: recorded_qrels(self.workspace, self.inside.folder(folder)).read())

    def ranking(self, file: Path, query: str) -> "list[ScoredDocument]":
        """The documents of one query of a run; none where the file is not there, or not to be read."""
        from xpm_ce.analysis.top_documents import scored_rankings

        if file.is_symlink() or not self.inside.holds(file) or not file.exists():
            return []
        return self.kept(("ranking", file, query), _stamp(file), lambda: scored_rankings(file, [query])[query])

    def _part(self, name: str, folder: Path, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        def read_or_none() -> dict[str, Any]:
            try:
                return read()
            except (XpmCeError, OSError, ImportError, ValueError):
                return {}

        return self.kept((name, folder), _stamp(folder), read_or_none)

    def documents(self, folder: Path) -> "StoredDocuments | None":
        """The documents that a job stored; None where they cannot be read."""
        from xpm_ce.data.stored_documents import StoredDocuments

        def read() -> "StoredDocuments | None":
            try:
                return StoredDocuments(self.inside.folder(folder / "store"))
            except (XpmCeError, KeyError, TypeError):
                return None

        return self.kept(("documents", folder), _stamp(folder / "store"), read)


class _CheckedWorkspace(Workspace):
    """The workspace as it is read here: folders that lead out of it are empty."""

    def __init__(self, path: Path, inside: Inside):
        super().__init__(path)
        self._inside = inside

    def job(self, task: str, identity: str) -> JobFolder:
        folder = ObservedFolder(super().job(task, identity).path)
        return folder if self._inside.holds(folder.path) else _Refused(folder.path)


class _Refused(ObservedFolder):
    entries = frozenset[str]()  # type: ignore[assignment]
    links = frozenset[str]()  # type: ignore[assignment]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
