"""An experiment declared in Python: the same sections, the same identities and the same run as its YAML.

Sections hold plain data, or configurations such as `InfoNCE.C(positive_grade=2)` in place of `{type: infonce, ...}`.
This module does not know any section.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experimaestro import Config

from xpm_ce.experiment import Configuration, prepare, start
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.study import Study
from xpm_ce.settings import Document, Node, fields
from xpm_ce.workspace import Workspace

if TYPE_CHECKING:
    from xpm_ce.analysis.tables import Table


class Experiment:
    """An experiment by its sections, as they stand in YAML; `Experiment("mine", collection=..., learner=..., ...)`.

    ConfigurationError where a section is unknown, missing or misshapen.
    """

    def __init__(self, id: str, **sections: Any):
        plain = {"id": id, **{name: described(section) for name, section in sections.items()}}
        root = Node.of(plain, where=f"Experiment({id!r})", folder=Path.cwd())
        self.study = Study.of(Document(root))

    def plan(self, workdir: str | Path | None = None, *, launchers: str | Path | None = None) -> Plan:
        """What a run would reuse, run and leave blocked."""
        return prepare(self._configuration(launchers), Workspace.resolve(workdir)).plan

    def run(self, workdir: str | Path | None = None, *, launchers: str | Path | None = None) -> "list[Table]":
        """Run what is missing, print the summary, give its tables.

        JobsFailedError where a job failed, KeyboardInterrupt where the user interrupted it: `run` again goes on.
        """
        workspace = Workspace.resolve(workdir)
        start(self._configuration(launchers), workspace)
        return self.tables(workspace.path)

    def tables(
        self, workdir: str | Path | None = None, *, measures: Sequence[str] = (), depths: Sequence[int] = ()
    ) -> "list[Table]":
        """The tables of the results that are there."""
        from xpm_ce.analysis.results import read_results
        from xpm_ce.analysis.tables import make_tables

        results = read_results(Workspace.resolve(workdir), self.study.id)
        return make_tables(results, measures=measures, depths=depths)

    def _configuration(self, launchers: str | Path | None) -> Configuration:
        return Configuration(self.study, launchers=Path(launchers) if launchers is not None else None)


def described(value: Any) -> Any:
    """Plain data in which each configuration is the mapping that YAML would have: `type` and the values set."""
    if isinstance(value, Config):
        declared = type(value).__xpmtype__.value_type
        names = {field.name for field in fields(declared)}
        given = {name: below for name, below in value.__xpm__.values.items() if name in names and below is not None}
        kind = getattr(declared, "NAME", None)
        plain = {name: described(below) for name, below in given.items()}
        return {"type": kind, **plain} if kind is not None else plain
    if isinstance(value, Mapping):
        return {str(key): described(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [described(below) for below in value]
    return str(value) if isinstance(value, Path) else value
