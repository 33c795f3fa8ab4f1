"""First-stage retrieval: ties at the cut, documents without a hit, ids that are the query's, what identifies a run."""

import json

import numpy as np
import pytest
from fixtures.in_process import InProcess, identity

from xpm_ce.data.folder import Folder
from xpm_ce.data.parts import DocumentRecord
from xpm_ce.data.store import StoreDocuments
from xpm_ce.data.stored_documents import StoredDocuments, write_store
from xpm_ce.errors import ConfigurationError
from xpm_ce.firststage.bm25_index import Bm25Index
from xpm_ce.firststage.retrieval import best
from xpm_ce.firststage.retrieve import Retrieve

TEXTS = {
    "d3": "quick foxes", "d1": "quick foxes", "d2": "quick foxes", "d0": "quick quick fox, lazy dog",
    "q2": "the lazy dog", "empty": "", "d4": "owls are hooting",
}  # fmt: skip
QUERIES = {"q1": "quick", "q2": "lazy dogs", "q3": "zebra", "q4": "the", "q5": "hoot"}


@pytest.fixture
def prepared(tmp_path):
    """(submitter, index, queries) of a little collection."""
    folder = tmp_path / "collection"
    (folder / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": i, "text": text}) for i, text in TEXTS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text(
        "\n".join(json.dumps({"_id": i, "text": text}) for i, text in QUERIES.items())
    )
    (folder / "qrels" / "test.tsv").write_text("".join(f"{query} 0 d1 1\n" for query in QUERIES))
    submit = InProcess(tmp_path / "workspace")
    parts = Folder.C(path=folder).prepare(submit)
    index = submit(Bm25Index.C(store=submit(StoreDocuments.C(documents=parts.documents))))
    return submit, index, parts.queries("test")


def retrieved(prepared, **settings):
    submit, index, queries = prepared
    run = submit(Retrieve.C(index=index, queries=queries, **settings)).instance()
    return run.read(), json.loads((run.path.parent / "counts.json").read_text())


def test_a_query_meets_the_inflections_of_its_words(prepared):
    run, _ = retrieved(prepared)
    assert run["q2"].documents == ["q2", "d0"]
    assert run["q5"].documents == ["d4"]


def test_ties_at_the_cut_are_kept_by_document_id(prepared):
    for depth, documents in ((1, ["d0"]), (2, ["d0", "d1"]), (3, ["d0", "d1", "d2"])):
        run, counts = retrieved(prepared, depth=depth)
        assert run["q1"].documents == documents
        assert counts["queries_tied_at_cut"] == (depth in (2, 3))


def test_a_shallow_run_is_the_beginning_of_a_deep_one(prepared):
    deep, _ = retrieved(prepared, depth=10)
    shallow, _ = retrieved(prepared, depth=2)
    for query_id, ranking in shallow.items():
        assert ranking.documents == deep[query_id].documents[:2]
        assert ranking.scores.tolist() == deep[query_id].scores[:2].tolist()


def test_queries_without_a_hit_are_absent_and_counted(prepared):
    run, counts = retrieved(prepared, depth=2)
    assert list(run) == ["q1", "q2", "q5"]
    assert counts["queries"] == 5
    assert counts["queries_without_hit"] == 2
    assert counts["queries_below_depth"] == 1
    assert counts["documents"] == 5


def test_a_document_with_the_id_of_the_query_can_be_left_out(prepared):
    run, _ = retrieved(prepared, depth=1, ignore_identical_ids=True)
    assert run["q2"].documents == ["d0"]


def test_scores_decrease_strictly_at_full_precision(prepared):
    run, counts = retrieved(prepared)
    assert counts["ties"] == 2
    scores = run["q1"].scores
    assert (np.diff(scores) < 0).all()
    assert scores[1] - scores[3] < 1e-6


def test_the_index_describes_itself_and_is_shared_by_all_searches(prepared):
    submit, index, _ = prepared
    retrieved(prepared, depth=1)
    retrieved(prepared, depth=2, k1=1.2)
    assert submit.ran.count("Bm25Index") == 1
    counts = json.loads((index.path.parent / "counts.json").read_text())
    # 2 + 2 + 2 + 5 + 2 (without the stop word) + 0 + 2 (without "are") terms
    assert counts["documents"] == 7
    assert counts["shortest"] == 0
    assert counts["mean_length"] == pytest.approx(15 / 7, rel=1e-6)
    assert counts["terms"] == len({"quick", "fox", "lazi", "dog", "owl", "hoot"})


@pytest.mark.parametrize("setting", [{"depth": 5}, {"k1": 1.2}, {"b": 0.75}, {"ignore_identical_ids": True}])
def test_every_setting_of_the_search_changes_the_run_and_never_the_index(prepared, setting):
    _, index, queries = prepared
    assert identity(Retrieve.C(index=index, queries=queries)) != identity(
        Retrieve.C(index=index, queries=queries, **setting)
    )


@pytest.mark.parametrize("setting", [{"depth": 0}, {"k1": -0.1}, {"b": 1.1}])
def test_settings_that_mean_nothing_are_refused(prepared, setting):
    _, index, queries = prepared
    with pytest.raises(ConfigurationError):
        Retrieve.__validate__(Retrieve.C(index=index, queries=queries, **setting))


def test_a_search_is_widened_until_the_score_drops(tmp_path):
    records = [DocumentRecord(f"d{number:03}", "", "") for number in range(100)]
    write_store(tmp_path / "store", records, text="{text}")
    documents = StoredDocuments(tmp_path / "store")
    scores = np.array([3, 2, *[1] * 60, *[0.5] * 38], np.float32)
    asked = []

    def search(text, size):
        """Gives tied documents in the order that is worst for ours: the highest ids first."""
        asked.append(size)
        rows = [*range(2), *range(61, 1, -1), *range(62, 100)][:size]
        return rows, scores[: len(rows)]

    result = best(search, "", depth=4, documents=documents)
    assert result.ranking.documents == ["d000", "d001", "d002", "d003"]
    assert result.tied_at_cut
    assert asked == [5, 10, 20, 40, 80]
    asked.clear()
    assert not best(search, "", depth=2, documents=documents).tied_at_cut
    assert asked == [3]
