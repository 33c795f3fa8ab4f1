"""From a study to its jobs: one walk over the grid that gives every task to a submitter.

The walk only names jobs; `launch/submission.py` hands the missing ones to the scheduler. Equal identities are one job,
whichever points of the grid ask for them. This module does not know how jobs run.
"""

import dataclasses
import functools
from typing import Any

from xpm_ce.data.overlap import overlap
from xpm_ce.errors import ConfigurationError, UnknownKeyError, XpmCeError
from xpm_ce.evaluate.efficiency import Efficiency
from xpm_ce.evaluate.measure import Measure
from xpm_ce.evaluate.rerank import Rerank
from xpm_ce.graph.costs import expect
from xpm_ce.graph.naming import many_configurations
from xpm_ce.graph.nearest import name_changes
from xpm_ce.graph.needs import absent, needs_of_plan
from xpm_ce.graph.past import PastJobs
from xpm_ce.graph.plan import Plan, Result, source_warnings
from xpm_ce.graph.planner import Lacking, Planner, beyond_fp32
from xpm_ce.graph.prepared import PreparedSet
from xpm_ce.graph.protocol_sets import chosen_protocols, protocol_sets
from xpm_ce.graph.sections import Evaluation, RunFile
from xpm_ce.graph.siblings import take_over_finished_work
from xpm_ce.graph.stages import START_FROM, paths_before, stage_before
from xpm_ce.graph.states import State
from xpm_ce.graph.study import DATA_SECTIONS, Study
from xpm_ce.graph.wiring import Wiring
from xpm_ce.measures import names
from xpm_ce.network import declared_offline
from xpm_ce.protocols.registry import averages
from xpm_ce.scorers.models import InitialModel
from xpm_ce.scorers.started import StartedScorer
from xpm_ce.settings import Document, typed
from xpm_ce.workspace import FIRST_STAGE, MODEL, RUN, TRAINED, UNTRAINED, Workspace

TIMED_DEPTH = 100
"""Documents of a query that are timed at most: the depth whose latency is usually published"""
STAGE = "stage"
"""Coordinate of a learner that another one starts from"""


def planned(study: Study, workspace: Workspace, *, lacking: Lacking = beyond_fp32, slots: int = 1) -> Plan:
    """The plan of a study in a workspace, where `slots` jobs run at once.

    ConfigurationError where something cannot be built.
    """
    with many_configurations():
        return _planned(study, Planner(workspace, lacking=lacking), slots)


def _planned(study: Study, planner: Planner, slots: int) -> Plan:
    builder = Builder(study, planner)
    with declared_offline(study.offline):
        results = builder.build()
        planner.run_what_is_needed()
    past = known_jobs(planner)
    take_over_finished_work(planner, past)
    name_changes(planner, past)
    costs = expect(planner.jobs.values(), past, slots=slots)
    past.save()
    planner.hashes.save()
    return Plan(
        experiment=study.id,
        title=study.title,
        files=[str(file) for file in study.document.files],
        overrides=list(study.document.overrides),
        document=study.document.plain(),
        jobs=list(planner.jobs.values()),
        results=results,
        table=builder.layout(),
        counts_of_queries=builder.counted,
        not_on_disk=absent(needs_of_plan(planner.jobs.values())),
        warnings=source_warnings(planner),
        costs=costs,
        extensions=builder.wiring.extensions,
    )


def known_jobs(planner: Planner) -> PastJobs:
    """What the workspace knows of jobs, where some of the plan's must run; else there is nothing to know."""
    needed = planner.any_folder and any(job.state is State.RUN for job in planner.jobs.values())
    past = PastJobs(planner.workspace, needed=needed)
    if needed:
        past.learn(planner.jobs.values(), planner.records)
    return past


class Builder:
    """Walks the grid of a study; what the points have in common is prepared once."""

    def __init__(self, study: Study, submit: Any):
        self.study, self.submit, self.wiring = study, submit, Wiring(study, submit)
        self.counted: dict[str, Any] = {}
        self._results: dict[tuple[str, ...], Result] = {}
        self.shown: dict[str, PreparedSet] = {}

    def build(self) -> list[Result]:
        """Every job of the study, inputs first; gives the results in the table's order."""
        of_data, of_scorer = self.study.axes_of_data(), self.study.axes_of_scorer()
        for coordinates, document in self.study.points():
            data = [document.get(section) for section in (*DATA_SECTIONS, "evaluation")]
            shared = {axis: value for axis, value in coordinates.items() if axis in of_data}
            evaluation, sets = self.wiring.once("sets", data, lambda: self.sets(document, shared))  # noqa: B023
            if document.get("learner") is None:
                continue
            learner, checkpoint = self.learner(document, coordinates)
            if evaluation.untrained:
                initial = {axis: value for axis, value in coordinates.items() if axis in of_scorer}
                self.wiring.once(
                    f"untrained {_identity(learner.scorer.untrained)} {initial}",
                    data,
                    lambda: self.untrained(learner.scorer.untrained, initial, sets, evaluation),  # noqa: B023
                )
            self.wiring.once("overlap", data, lambda: self.count_overlap(learner.queries, sets))  # noqa: B023
            self.evaluated(checkpoint, learner.scorer, TRAINED, coordinates, sets, evaluation)
        return list(self._results.values())

    # -- inputs ---------------------------------------------------------------------------------------------

    def sets(self, document: Document, coordinates: dict[str, str]) -> tuple[Evaluation, list[PreparedSet]]:
        """The evaluation sets, with what is measured on them whatever is trained: first stages, models, runs."""
        node = document.require("evaluation")
        evaluation = self.wiring.typed(Evaluation, node)
        own = list(node.get("sets") or ())
        sets = [
            self.wiring.evaluation_set(
                document, entry, below, depths=sorted(set(evaluation.depths)), measures=evaluation.measures
            )
            for entry, below in zip(evaluation.sets or (), own, strict=True)
        ]
        sets += protocol_sets(
            self.wiring, document, chosen_protocols(node.get("protocols")), library=evaluation.library
        )
        labels = [prepared.label for prepared in sets]
        for place, label in enumerate(labels):
            if label in labels[:place]:
                raise ConfigurationError(
                    f"two evaluation sets are named {label}",
                    where=own[place].where if place < len(own) else node.where,
                    remedy="Give one of them another name:.",
                )
        for prepared in sets:
            self.show(prepared)
            self.measured(
                prepared.run, FIRST_STAGE, {**coordinates, FIRST_STAGE: prepared.first_stage}, prepared, bounds=True
            )
        for model_node in self.study.section("models"):
            folder = self.wiring.model(model_node)
            model = self.wiring.pretrained(folder)
            self.evaluated(model, None, MODEL, {**coordinates, MODEL: folder.name}, sets, evaluation)
        for run_node in self.study.section("runs"):
            entry = typed(RunFile, run_node)
            if entry.set is not None and entry.set not in labels:
                where = (run_node.get("set") or run_node).where
                raise UnknownKeyError(entry.set, labels, where=where, kind="evaluation set")
            prepared = sets[labels.index(entry.set)] if entry.set is not None else sets[0]
            run = self.wiring.external_run(entry.path)
            self.measured(run, RUN, {**coordinates, RUN: entry.name}, prepared)
        return evaluation, sets

    def show(self, prepared: PreparedSet) -> None:
        """Remember a set for the table; one that several points of the grid describe has all their depths."""
        known = self.shown.get(prepared.label, prepared)
        depths = tuple(sorted({*known.depths, *prepared.depths}))
        measures = tuple(dict.fromkeys((*known.measures, *prepared.measures)))
        self.shown[prepared.label] = dataclasses.replace(known, depths=depths, measures=measures)

    def learner(self, document: Document, coordinates: dict[str, str]) -> tuple[Any, Any]:
        """The learner of a point of the grid and its checkpoint; the learners that it starts from come before it."""
        before, start = stage_before(document), None
        if before is not None:
            kept = self.study.axes_touching(paths_before(document))
            shared = {axis: value for axis, value in coordinates.items() if axis in kept}
            first, checkpoint = self.learner(before, {**shared, STAGE: "before"})
            start = StartedScorer.C(checkpoint=checkpoint, origin=first.scorer)
        training_set, queries = self.wiring.training_set(document)
        node, scorer = document.require("learner").without(START_FROM), document.require("learner.scorer")
        learner = self.wiring.learner(document, node, scorer, training_set=training_set, queries=queries, start=start)
        return learner, self.wiring.trained(learner, coordinates)

    def count_overlap(self, train: Any, sets: list[PreparedSet]) -> None:
        """Count the training queries whose normalised text is a test query's, where the texts can be read already."""
        for prepared in sets:
            name = f"training queries that are also queries of {prepared.label}"
            if not (train.on_disk and prepared.queries.on_disk):
                self.counted.setdefault(name, "not counted: planning downloads nothing")
                continue
            try:
                shared, total = self.submit.hashes.get(
                    f"overlap 1 {_identity(train)} {_identity(prepared.queries)}",
                    [],
                    lambda test=prepared.queries: _overlap(train, test),
                )
            except (OSError, XpmCeError):
                self.counted.setdefault(name, "unknown until the collection is there")
            else:
                self.counted[name] = f"{shared} of {total}"

    # -- outputs --------------------------------------------------------------------------------------------

    def untrained(
        self, scorer: Any, coordinates: dict[str, str], sets: list[PreparedSet], evaluation: Evaluation
    ) -> None:
        """Evaluate a scorer as it is before training."""
        self.evaluated(InitialModel.C(scorer=scorer), scorer, UNTRAINED, coordinates, sets, evaluation)

    def evaluated(
        self, model: Any, reader: Any, system: str, coordinates: dict[str, str], sets: list[PreparedSet],
        evaluation: Evaluation,
    ) -> None:  # fmt: skip
        """Re-rank every set with a model at the largest depth, and measure at all.

        `reader` is the scorer that has its tokenizer; None for an existing model, which knows its own.

        Sets that differ in depth only, as protocols do, are one re-ranking.
        """
        deepest: dict[str, int] = {}
        for prepared in sets:
            deepest[_identity(prepared.run)] = max(deepest.get(_identity(prepared.run), 0), *prepared.depths)
        for prepared in sets:
            rerank = Rerank.C(
                model=model, run=prepared.run, queries=prepared.queries, store=prepared.store,
                tokens=self.wiring.tokens(prepared.store, reader) if reader is not None
                else self.wiring.tokens_of(model, prepared.store), depth=deepest[_identity(prepared.run)],
                precision=evaluation.precision, device=evaluation.device, tokens_per_batch=evaluation.tokens_per_batch,
                protocol=prepared.label, goal=self.study.title,
            )  # fmt: skip
            run = self.submit(rerank, kind="rerank", coordinates=_where(coordinates, prepared, system))
            self.measured(run, system, coordinates, prepared, first_stage=prepared.run)
            if evaluation.efficiency and system != UNTRAINED and rerank.tokens is not None:
                self.timed(rerank, coordinates=_where(coordinates, prepared, system))

    def timed(self, rerank: Any, *, coordinates: dict[str, str]) -> None:
        """Time a re-ranking on a part of its queries, to a depth that a user would wait for."""
        same = ("model", "run", "queries", "store", "precision", "device", "tokens_per_batch")
        task = Efficiency.C(**{name: getattr(rerank, name) for name in same}, depth=min(rerank.depth, TIMED_DEPTH))
        self.submit(task, kind="efficiency", coordinates=coordinates)

    def measured(
        self, run: Any, system: str, coordinates: dict[str, str], prepared: PreparedSet, *, first_stage: Any = None,
        bounds: bool = False,
    ) -> None:  # fmt: skip
        """Measure one run on one set, and remember where its result stands."""
        measure = Measure.C(
            run=run, first_stage=first_stage, qrels=prepared.qrels, store=prepared.store,
            depths=list(prepared.depths), measures=list(_in_order(prepared.measures)),
            ignore_identical_ids=prepared.ignore_identical_ids, bounds=bounds, protocol=prepared.label,
        )  # fmt: skip
        output = self.submit(measure, kind="measure", coordinates=_where(coordinates, prepared, system))
        key = (system, prepared.label, *(f"{axis}={value}" for axis, value in coordinates.items()))
        self._results.setdefault(key, Result(_identity(output), system, prepared.label, coordinates))

    def layout(self) -> dict[str, Any]:
        """How tables are laid out, with what there is to show."""
        sets, registered = self.shown, [each.protocol for each in self.shown.values() if each.protocol is not None]
        measures = {label: [str(names.parse(name)) for name in each.measures] for label, each in sets.items()}
        return {
            **self.study.layout(),
            "protocols": list(sets),
            "measures": list(dict.fromkeys(name for own in measures.values() for name in own)),
            "depths": sorted({depth for each in sets.values() for depth in each.depths}),
            "main": {label: {"measure": measures[label][0], "depth": max(each.depths)} for label, each in sets.items()},
            "abbreviations": {protocol.id: protocol.judged.abbreviation for protocol in registered},
            "averages": {**averages(registered), **self.study.averages(list(sets))},
        }


def _where(coordinates: dict[str, str], prepared: PreparedSet, system: str) -> dict[str, str]:
    """The coordinates of a job: the grid's, the set, and what the system is unless it was trained here."""
    return {**coordinates, "set": prepared.label, **({} if system == TRAINED else {"system": system})}


def _identity(config: Any) -> str:
    return config.__xpm__.identifier.all.hex()


@functools.cache
def _in_order(measures: tuple[str, ...]) -> tuple[str, ...]:
    """Measures in the order in which they enter an identity."""
    return tuple(names.sorted_unique(measures))


def _overlap(train: Any, test: Any) -> list[int]:
    """Training queries whose normalised text is a test query's, and all training queries."""
    found = overlap(train.read(), test.read())
    return [found.shared_train_queries, found.train_queries]
