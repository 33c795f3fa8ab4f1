"""The computation of training sets: which documents stand in a query's group, and what is known about them.

This module does not know how groups are stored, nor who ranked.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from xpm_ce import atomic
from xpm_ce.data.draws import Draws
from xpm_ce.data.ranked_rows import RankedRows, RowRankings, row_rankings
from xpm_ce.data.supervision import UNJUDGED
from xpm_ce.data.training_set import TrainingGroup, write_training_set

if TYPE_CHECKING:
    from xpm_ce.data.distilled import RunTrainingSet
    from xpm_ce.data.mining import MineTrainingSet
    from xpm_ce.data.stored_documents import StoredDocuments

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
    store, qrels, queries = task.store.open(), task.qrels.read(), task.queries.read()
    scratch = task.training_set.parent
    with contextlib.ExitStack() as files:
        run = files.enter_context(row_rankings(task.run, store, scratch=scratch, only=queries))
        teacher = None
        if task.teacher is not None:
            teacher = files.enter_context(
                row_rankings(task.teacher, store, scratch=scratch, only=queries, lenient=True)
            )
        for query_id in queries:
            counts["queries"] += 1
            grades, unknown = _grades(store, qrels.get(query_id, {}))
            counts["judgements_of_unknown_documents"] += unknown
            ranked: list[int] = []
            if max(grades.values(), default=0) >= task.positive_grade and query_id in run:
                ranked = run.ranking(query_id, task.first_rank - 1, task.last_rank).rows.tolist()
            relevant = [row for row, grade in grades.items() if grade > 0]
            if not task.inject:
                relevant = [row for row in relevant if row in ranked]
            if not relevant or grades[relevant[0]] < task.positive_grade:
                counts["queries_without_positive"] += 1
                continue
            counts["queries_without_ranking"] += query_id not in run
            known = _known_scores(teacher, query_id) if teacher is not None else None
            yield _mined_group(task, query_id, grades, relevant, ranked, known, len(store), counts)
        _count_repeated(run, counts)


def _mined_group(
    task: "MineTrainingSet",
    query_id: str,
    grades: Mapping[int, int],
    relevant: list[int],
    ranked: list[int],
    known: Mapping[int, float] | None,
    documents: int,
    counts: Counter[str],
) -> TrainingGroup:
    """The group of a query with `grades` and `known` teacher scores by row, among all `documents`; it is counted."""
    window = [row for row in ranked if grades.get(row, 0) <= 0]
    masked: set[int] = set()
    if task.negative_margin is not None:
        masked = _likely_relevant(window, grades, known or {}, margin=task.negative_margin)
        window = [row for row in window if row not in masked]
        counts["likely_relevant"] += len(masked)
    random_rows = draw_rows(
        Draws(task.seed, f"random documents of {query_id}"),
        task.random_documents,
        below=documents,
        excluded={*grades, *window, *masked},
    )
    rows = [*relevant, *window, *random_rows]
    labels = [
        *(grades[row] for row in relevant),
        *(0 if row in grades else UNJUDGED for row in window),
        *[UNJUDGED] * len(random_rows),
    ]
    counts.update(
        {
            "groups": 1,
            "rows": len(rows),
            "positives": sum(grades[row] >= task.positive_grade for row in relevant),
            "relevant_below_positive_grade": sum(grades[row] < task.positive_grade for row in relevant),
            "relevant_not_in_window": len(set(relevant).difference(ranked)),
            "judged_not_relevant": labels.count(0),
            "unjudged_in_window": labels.count(UNJUDGED) - len(random_rows),
            "random": len(random_rows),
        }
    )
    scores = None
    if known is not None:
        scores = np.array([known.get(row, np.nan) for row in rows], np.float32)
        counts["without_teacher_score"] += int(np.isnan(scores).sum())
    return TrainingGroup(query_id, np.array(rows, np.int64), np.array(labels), scores)


def distilled_groups(task: "RunTrainingSet", counts: Counter[str]) -> Iterator[TrainingGroup]:
    """The groups that `RunTrainingSet` describes; `counts` is filled as they are taken."""
    store, scratch = task.store.open(), task.training_set.parent
    qrels = task.qrels.read() if task.qrels is not None else None
    queries = task.queries.read() if task.queries is not None else None
    with contextlib.ExitStack() as files:
        run = files.enter_context(row_rankings(task.run, store, scratch=scratch, only=queries))
        query_ids, first_stage = run.query_ids(), None
        if task.first_stage is not None:
            candidates = row_rankings(task.first_stage, store, scratch=scratch, only=set(query_ids), lenient=True)
            first_stage = files.enter_context(candidates)
        for query_id in query_ids:
            if first_stage is None:
                rows, scores = run.ranking(query_id, 0, task.depth)
            else:
                rows, scores = _among_the_first(run.ranking(query_id), first_stage, query_id, task.depth)
                if not len(rows):
                    counts["queries_without_candidate"] += 1
                    continue
            labels = None
            if qrels is not None:
                grades, _ = _grades(store, qrels.get(query_id, {}))
                # A negative grade (spam, say) is not relevant; -1 would mean that nobody judged.
                labels = np.array([max(grades[row], 0) if row in grades else UNJUDGED for row in rows.tolist()])
                counts["queries_without_judgement"] += not qrels.get(query_id)
                counts["judged"] += int((labels != UNJUDGED).sum())
                counts["relevant"] += int((labels > 0).sum())
            counts.update({"groups": 1, "rows": len(rows), "groups_below_depth": int(len(rows) < task.depth)})
            yield TrainingGroup(query_id, rows, labels, scores)
        _count_repeated(run, counts)


def _grades(store: "StoredDocuments", grades: Mapping[str, int]) -> tuple[dict[int, int], int]:
    """Grade by row, the best first and then by document id, and how many documents the store does not hold."""
    ordered = sorted(grades.items(), key=lambda item: (-item[1], item[0]))
    rows = store.known_rows([document for document, _ in ordered]).tolist()
    known = {row: grade for row, (_, grade) in zip(rows, ordered, strict=True) if row >= 0}
    return known, len(ordered) - len(known)


def _likely_relevant(
    rows: Sequence[int], grades: Mapping[int, int], known: Mapping[int, float], *, margin: float
) -> set[int]:
    """Unjudged rows that the teacher scores above, or by less than `margin` below, the lowest relevant document.

    Where it scored no relevant document there is nothing to compare with: none.
    """
    relevant = [known[row] for row, grade in grades.items() if grade > 0 and row in known]
    if not relevant:
        return set()
    highest = min(relevant) - margin
    return {row for row in rows if row not in grades and known.get(row, highest) > highest}


def _known_scores(teacher: RowRankings, query_id: str) -> dict[int, float]:
    """The teacher's scores of a query by row; a document that is not in the collection has no row."""
    if query_id not in teacher:
        return {}
    rows, scores = teacher.ranking(query_id)
    return {row: score for row, score in zip(rows.tolist(), scores.tolist(), strict=True) if row >= 0}


def _among_the_first(
    ranking: RankedRows, first_stage: RowRankings, query_id: str, depth: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores of the documents that the first stage has among its `depth` first, in the ranking's order."""
    candidates = first_stage.ranking(query_id, 0, depth).rows if query_id in first_stage else np.empty(0, np.int64)
    kept = np.isin(ranking.rows, candidates)
    return ranking.rows[kept], ranking.scores[kept]


def _count_repeated(run: RowRankings, counts: Counter[str]) -> None:
    if run.repeated:
        counts["repeated_documents"] = run.repeated


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


def _write(task: "MineTrainingSet | RunTrainingSet", groups: Iterator[TrainingGroup], counts: Counter[str]) -> None:
    write_training_set(task.training_set, groups, supervision=task.supervision, counts=counts)
    atomic.write_json(task.counts, {"schema": SCHEMA, **counts})
    logger.info("training set of %d queries with %d documents", counts["groups"], counts["rows"])
