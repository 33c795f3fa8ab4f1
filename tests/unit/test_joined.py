"""Runs joined to one, and the groups of a training set as a run to be scored."""

import json

import numpy as np
import pytest
from fixtures.in_process import InProcess, identity
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.data.candidates import GroupCandidates
from xpm_ce.data.folder import Folder
from xpm_ce.data.joined import JoinRuns, join
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.runs import ExternalRun, Ranking, read_run, write_run
from xpm_ce.data.split import Fold, QueriesOfFold, fold_of
from xpm_ce.data.store import StoreDocuments
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import file_sha256

QUERIES = [f"q{number}" for number in range(1, 9)]


class Collection:
    """Twelve documents and eight judged queries, the last without a relevant document."""

    def __init__(self, path):
        self.path = path
        (path / "c" / "qrels").mkdir(parents=True)
        write = {
            "corpus.jsonl": [json.dumps({"_id": f"d{number}", "text": f"text {number}"}) for number in range(12)],
            "queries.jsonl": [json.dumps({"_id": query, "text": query}) for query in QUERIES],
            "qrels/train.tsv": [f"{query} 0 d11 {int(query != 'q8')}" for query in QUERIES],
        }
        for name, lines in write.items():
            (path / "c" / name).write_text("".join(f"{line}\n" for line in lines))
        self.submit = InProcess(path / "workspace")
        self.parts = Folder.C(path=path / "c").prepare(self.submit)
        self.queries = self.parts.queries("train")
        self.store = self.submit(StoreDocuments.C(documents=self.parts.documents))

    def run(self, name, rankings):
        path = self.path / name
        write_run(path, {q: Ranking(d, np.arange(len(d), 0, -1, np.float32)) for q, d in rankings.items()}, "t")
        return ExternalRun.C(path=path, sha256=file_sha256(path))

    def counts_beside(self, run):
        return json.loads((run.path.parent / "counts.json").read_text())


@pytest.fixture
def collection(tmp_path):
    return Collection(tmp_path)


def test_joined_runs_hold_every_ranking_as_it_was_in_the_order_of_the_queries(collection):
    one = collection.run("one", {"q5": ["d1", "d2"], "q2": ["d3"]})
    other = collection.run("other", {"q1": ["d4"], "q3": ["d2", "d1"]})
    joined = collection.submit(JoinRuns.C(runs=[one, other], queries=collection.queries)).instance()
    rankings = joined.read()
    assert list(rankings) == ["q1", "q2", "q3", "q5"]
    for source in (one, other):
        for query, ranking in read_run(source.path).items():
            assert rankings[query].documents == ranking.documents
            assert rankings[query].scores.tolist() == ranking.scores.tolist()
    assert collection.counts_beside(joined) == {
        "schema": 1, "queries": 8, "queries_of_runs": [2, 2], "queries_without_ranking": 4
    }  # fmt: skip


def test_a_query_that_two_runs_rank_is_refused_and_both_are_named(collection):
    one, other = (collection.run(name, {"q1": ["d4"], name: ["d1"]}) for name in ("q2", "q3"))
    with pytest.raises(DataError, match=r"query q1 is ranked in .*q2 too") as error:
        collection.submit(JoinRuns.C(runs=[one, other], queries=collection.queries))
    assert error.value.where.endswith("q3")


def test_a_ranking_of_a_query_from_elsewhere_is_refused(collection):
    with pytest.raises(DataError, match=r"1 ranked queries are not among .* the first is x1"):
        collection.submit(JoinRuns.C(runs=[collection.run("x", {"x1": ["d1"]})], queries=collection.queries))


def test_no_run_at_all_is_refused(collection):
    with pytest.raises(ConfigurationError, match="runs is empty"):
        JoinRuns.__validate__(JoinRuns.C(runs=[], queries=collection.queries))


@given(st.lists(st.text("abcde", min_size=1), unique=True, max_size=8), st.integers(1, 4), st.integers(0, 5))
def test_folds_that_were_divided_are_joined_to_what_they_were(query_ids, folds, seed):
    whole = {query: Ranking([f"d{query}"], np.zeros(1, np.float32)) for query in query_ids}
    divided = [
        {query: ranking for query, ranking in whole.items() if fold_of(query, seed=seed, folds=folds) == number}
        for number in range(1, folds + 1)
    ]
    assert join(divided, query_ids, names=[str(n) for n in range(folds)]) == whole
    assert list(join(divided, query_ids, names=[str(n) for n in range(folds)])) == query_ids


def test_candidates_are_all_documents_of_the_groups_of_a_fold_in_the_order_of_the_collection(collection):
    first_stage = collection.run("run", {query: ["d7", "d3", "d5"] for query in QUERIES})
    qrels = collection.parts.qrels("train")
    mined = MineTrainingSet.C(store=collection.store, queries=collection.queries, qrels=qrels, run=first_stage)
    training_set = collection.submit(mined)
    fold = QueriesOfFold.C(queries=collection.queries, fold=Fold.C(folds=2, number=1, outside=False))
    task = GroupCandidates.C(training_set=training_set, queries=fold, store=collection.store)
    candidates = collection.submit(task).instance()
    rankings = candidates.read()
    assert list(rankings) == [query for query in QUERIES[:-1] if fold_of(query, seed=0, folds=2) == 1]
    # the relevant document, which the first stage missed and which stands first in a group, is last in the collection
    assert {tuple(ranking.documents) for ranking in rankings.values()} == {("d3", "d5", "d7", "d11")}
    counts = collection.counts_beside(candidates)
    assert (counts["queries"], counts["documents"]) == (len(rankings), 4 * len(rankings))
    assert counts["queries_without_group"] == len(fold.instance().read()) - len(rankings)


def test_a_fold_without_a_group_says_what_is_wrong(collection):
    first_stage = collection.run("run", {"q1": ["d7"]})
    qrels = collection.parts.qrels("train")
    training_set = collection.submit(
        MineTrainingSet.C(store=collection.store, queries=collection.queries, qrels=qrels, run=first_stage)
    )
    folds, seed = 40, 3
    taken = {fold_of(query, seed=seed, folds=folds) for query in QUERIES}
    empty = Fold.C(folds=folds, number=next(n for n in range(1, folds + 1) if n not in taken), outside=False, seed=seed)
    queries = QueriesOfFold.C(queries=collection.queries, fold=empty)
    with pytest.raises(DataError, match="none of the 0 queries has a group"):
        collection.submit(GroupCandidates.C(training_set=training_set, queries=queries, store=collection.store))


def test_the_runs_and_the_queries_are_part_of_the_identity(collection):
    one, other = collection.run("one", {"q1": ["d1"]}), collection.run("other", {"q2": ["d1"]})
    fold = QueriesOfFold.C(queries=collection.queries, fold=Fold.C(folds=2, number=1, outside=False))
    tasks = [
        JoinRuns.C(runs=runs, queries=queries)
        for runs, queries in [([one, other], collection.queries), ([one], collection.queries), ([one, other], fold)]
    ]
    assert len({identity(task) for task in tasks}) == 3
