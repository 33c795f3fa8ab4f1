"""The order that scores give to the candidates of a first stage, and scores that another depth takes over."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.data.runs import Ranking, cut
from xpm_ce.errors import DataError
from xpm_ce.evaluate.reranking import Candidates

LISTS = st.lists(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]), min_size=1, max_size=6), min_size=1, max_size=4)


def first_stage(lengths):
    """A run with so many documents for each query."""
    return {
        f"q{query}": Ranking([f"d{rank}" for rank in range(length)], -np.arange(length, dtype=np.float32))
        for query, length in enumerate(lengths)
    }


@given(scores=LISTS)
def test_documents_are_ordered_by_score_and_ties_by_the_rank_of_the_first_stage(scores):
    candidates = Candidates(first_stage(map(len, scores)))
    candidates.scores[:] = np.concatenate(scores)
    for query, its in enumerate(scores):
        ranking = candidates.ordered()[f"q{query}"]
        order = sorted(range(len(its)), key=lambda rank: (-its[rank], rank))
        assert ranking.documents == [f"d{rank}" for rank in order]
        assert ranking.scores.tolist() == [its[rank] for rank in order]


@pytest.mark.parametrize(("finished", "wanted"), [(5, 3), (3, 5), (4, 4)])
def test_another_depth_gives_its_scores_and_only_the_others_are_missing(finished, wanted, tmp_path):
    run = first_stage([6, 2, 4])
    before = Candidates(cut(run, finished))
    before.scores[:] = np.arange(len(before.scores))
    np.save(tmp_path / "scores.npy", before.scores)
    counts = {"depth": finished, "candidates": np.diff(before.offsets).tolist()}
    (tmp_path / "counts.json").write_text(json.dumps(counts))
    candidates = Candidates(cut(run, wanted))
    taken = candidates.take_over(tmp_path)
    missing = [
        (query, document) for queries, documents, _ in candidates.missing()
        for query, document in zip(queries, documents, strict=True)
    ]  # fmt: skip
    assert missing == [
        (query, f"d{rank}")
        for query, ranking in run.items()
        for rank in range(finished, min(wanted, len(ranking.documents)))
    ]
    assert taken + len(missing) == len(candidates.scores)
    for query, query_id in enumerate(run):
        its = before.scores[before.offsets[query] :][: min(finished, wanted, len(run[query_id].documents))]
        assert candidates.scores[candidates.offsets[query] :][: len(its)].tolist() == its.tolist()


def test_a_finished_run_of_other_queries_is_refused(tmp_path):
    np.save(tmp_path / "scores.npy", np.zeros(3, np.float32))
    (tmp_path / "counts.json").write_text(json.dumps({"depth": 3, "candidates": [3]}))
    with pytest.raises(DataError, match="other queries"):
        Candidates(first_stage([3, 3])).take_over(tmp_path)
