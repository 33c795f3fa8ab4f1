"""The computation of training sets: which documents stand in a query's group, and what is known about them.

This module does not know how groups are stored, nor who ranked.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.draws import Draws
from xpm_ce.data.supervision import UNJUDGED
from xpm_ce.data.training_set import TrainingGroup, write_training_set

if TYPE_CHECKING:
    from xpm_ce.data.distilled import RunTrainingSet
    from xpm_ce.data.mining import MineTrainingSet
    from xpm_ce.data.runs import Ranking

SCHEMA = 1

logger = logging.getLogger(__name__)


def mine(task: "MineTrainingSet") -> None:
    """Write the training set and `counts.json`."""
    counts: Counter[str] = Counter()
    _write(task, mined_groups(task, counts), counts)


def distil(task: "RunTrainingSet") -> None:
    """Write the training set and `counts.json`."""
    counts: Counter[str] = Counter()
    _write(task, distilled_groups(task, counts), counts)


def mined_groups(task: "MineTrainingSet", counts: Counter[str]) -> Iterator[TrainingGroup]:
    """The groups that `MineTrainingSet` describes; `counts` is filled as they are taken."""
    store, qrels, run = task.store.open(), task.qrels.read(), task.run.read()
    teacher = task.teacher.read() if task.teacher is not None else None
    for query_id in task.queries.read():
        counts["queries"] += 1
        grades = qrels.get(query_id, {})
        rows = dict(zip(grades, store.known_rows(list(grades)).tolist(), strict=True))
        counts["judgements_of_unknown_documents"] += sum(row < 0 for row in rows.values())
        relevant = [
            (document, grade)
            for document, grade in sorted(grades.items(), key=lambda item: (-item[1], item[0]))
            if grade > 0 and rows[document] >= 0
        ]
        if not relevant or relevant[0][1] < task.positive_grade:
            counts["queries_without_positive"] += 1
            continue
        if query_id not in run:
            counts["queries_without_ranking"] += 1
        ranked = run[query_id].documents[task.first_rank - 1 : task.last_rank] if query_id in run else []
        window = [document for document in ranked if grades.get(document, 0) <= 0]
        labels = [grade for _, grade in relevant] + [0 if document in grades else UNJUDGED for document in window]
        documents = [document for document, _ in relevant] + window
        group_rows = store.rows(documents).tolist()
        random_rows = draw_rows(
            Draws(task.seed, f"random documents of {query_id}"),
            task.random_documents,
            below=len(store),
            excluded={*group_rows, *rows.values()},
        )
        labels += [UNJUDGED] * len(random_rows)
        documents += [store.ids[row] for row in random_rows]
        scores = _teacher_scores(teacher, query_id, documents) if teacher is not None else None
        counts.update(
            {
                "groups": 1,
                "rows": len(documents),
                "positives": sum(grade >= task.positive_grade for _, grade in relevant),
                "relevant_below_positive_grade": sum(grade < task.positive_grade for _, grade in relevant),
                "relevant_not_in_window": len({document for document, _ in relevant}.difference(ranked)),
                "judged_not_relevant": labels.count(0),
                "unjudged_in_window": labels.count(UNJUDGED) - len(random_rows),
                "random": len(random_rows),
            }
        )
        if scores is not None:
            counts["without_teacher_score"] += int(np.isnan(scores).sum())
        yield TrainingGroup(query_id, np.array(group_rows + random_rows, np.int64), np.array(labels), scores)


def distilled_groups(task: "RunTrainingSet", counts: Counter[str]) -> Iterator[TrainingGroup]:
    """The groups that `RunTrainingSet` describes; `counts` is filled as they are taken."""
    store, run = task.store.open(), task.run.read()
    qrels = task.qrels.read() if task.qrels is not None else None
    for query_id, ranking in run.items():
        documents, scores = ranking.documents[: task.depth], ranking.scores[: task.depth]
        labels = None
        if qrels is not None:
            grades = qrels.get(query_id, {})
            # A negative grade (spam, say) is not relevant; -1 would mean that nobody judged.
            labels = np.array([max(grades[d], 0) if d in grades else UNJUDGED for d in documents])
            counts["queries_without_judgement"] += not grades
            counts["judged"] += int((labels != UNJUDGED).sum())
            counts["relevant"] += int((labels > 0).sum())
        counts.update(
            {
                "groups": 1,
                "rows": len(documents),
                "groups_below_depth": int(len(documents) < task.depth),
            }
        )
        yield TrainingGroup(query_id, store.rows(documents), labels, scores)


def draw_rows(draws: Draws, wanted: int, *, below: int, excluded: Collection[int]) -> list[int]:
    """`wanted` distinct rows below `below` that are not `excluded`, or all of them where there are fewer."""
    excluded = {row for row in excluded if row >= 0}
    if wanted >= below - len(excluded):
        free = [row for row in range(below) if row not in excluded] if wanted else []
        return draws.shuffled(free)
    drawn: dict[int, None] = {}
    while len(drawn) < wanted:  # at least one row is free beyond those wanted
        row = draws.below(below)
        if row not in excluded:
            drawn[row] = None
    return list(drawn)


def _teacher_scores(teacher: "Mapping[str, Ranking]", query_id: str, documents: list[str]) -> np.ndarray:
    """Score of each document by the teacher, nan where it has none, float32 `[documents]`."""
    if query_id not in teacher:
        return np.full(len(documents), np.nan, np.float32)
    known = dict(zip(teacher[query_id].documents, teacher[query_id].scores.tolist(), strict=True))
    return np.array([known.get(document, np.nan) for document in documents], np.float32)


def _write(task: "MineTrainingSet | RunTrainingSet", groups: Iterator[TrainingGroup], counts: Counter[str]) -> None:
    write_training_set(task.training_set, groups, supervision=task.supervision, counts=counts)
    atomic.write_json(task.counts, {"schema": SCHEMA, **counts})
    logger.info("training set of %d queries with %d documents", counts["groups"], counts["rows"])
