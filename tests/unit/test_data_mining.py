"""Training sets: which documents stand in a group, what is known about them, and what is counted."""

import json
import math

import numpy as np
import pytest
from fixtures.in_process import InProcess, identity

from xpm_ce.data.distilled import RunTrainingSet
from xpm_ce.data.draws import Draws
from xpm_ce.data.folder import Folder
from xpm_ce.data.generated import Generated
from xpm_ce.data.groups import draw_rows
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.runs import ExternalRun, Ranking, write_run
from xpm_ce.data.store import StoreDocuments
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import file_sha256

RANKED = {"q1": ["d1", "d2", "d3", "d4", "d5"], "q2": ["d4", "d1"], "q3": ["d1"]}
JUDGED = "q1 0 d3 2\nq1 0 d9 1\nq1 0 d2 0\nq1 0 d5 -1\nq1 0 lost 3\nq2 0 d6 1\nq3 0 d1 0\nq4 0 d7 2\n"


class Study:
    """A collection of ten documents d0 to d9, queries q1 to q4, and runs over them."""

    def __init__(self, path):
        self.path = path
        (path / "c" / "qrels").mkdir(parents=True)
        (path / "c" / "corpus.jsonl").write_text(
            "".join(json.dumps({"_id": f"d{number}", "text": f"text {number}"}) + "\n" for number in range(10))
        )
        (path / "c" / "queries.jsonl").write_text(
            "".join(json.dumps({"_id": f"q{number}", "text": "x"}) + "\n" for number in range(1, 5))
        )
        (path / "c" / "qrels" / "train.tsv").write_text(JUDGED)
        self.submit = InProcess(path / "workspace")
        parts = Folder.C(path=path / "c").prepare(self.submit)
        self.qrels, self.queries = parts.qrels("train"), parts.queries("train")
        self.store = self.submit(StoreDocuments.C(documents=parts.documents))

    def run(self, name, rankings):
        path = self.path / name
        write_run(path, {q: Ranking(d, np.arange(len(d), 0, -1, np.float32)) for q, d in rankings.items()}, "t")
        return ExternalRun.C(path=path, sha256=file_sha256(path))

    def mine(self, **settings):
        task = MineTrainingSet.C(
            store=self.store, queries=self.queries, qrels=self.qrels, run=self.run("run", RANKED), **settings
        )
        return self.opened(task)

    def opened(self, task):
        """(supervision, groups as {query: [(document, label, teacher score)]}, counts)."""
        output = self.submit(task).instance()
        stored, documents = output.open(), self.store.instance().open()
        groups = {
            stored.query_id(query): [
                (documents.ids[int(row)], int(label), float(score))
                for row, label, score in zip(
                    stored.documents(query), stored.labels(query), stored.teacher_scores(query), strict=True
                )
            ]
            for query in range(len(stored))
        }
        return list(output.supervision), groups, json.loads((output.path.parent / "counts.json").read_text())


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def labels(group):
    return [(document, label) for document, label, _ in group]


def test_a_group_holds_all_relevant_documents_and_the_window_without_judged_negatives(study):
    supervision, groups, counts = study.mine()
    assert supervision == ["labels"]
    assert labels(groups["q1"]) == [("d3", 2), ("d9", 1), ("d1", -1), ("d2", 0), ("d4", -1), ("d5", 0)]
    assert labels(groups["q2"]) == [("d6", 1), ("d4", -1), ("d1", -1)]
    assert labels(groups["q4"]) == [("d7", 2)]
    assert all(math.isnan(score) for group in groups.values() for *_, score in group)
    assert counts == {
        "schema": 1, "queries": 4, "groups": 3, "rows": 10, "queries_without_positive": 1,
        "queries_without_ranking": 1, "judgements_of_unknown_documents": 1, "positives": 4,
        "relevant_below_positive_grade": 0, "relevant_not_in_window": 3, "judged_not_relevant": 2,
        "unjudged_in_window": 4, "random": 0,
    }  # fmt: skip


def test_the_window_counts_ranks_from_one_and_includes_its_ends(study):
    _, groups, _ = study.mine(first_rank=2, last_rank=4)
    assert labels(groups["q1"]) == [("d3", 2), ("d9", 1), ("d2", 0), ("d4", -1)]
    assert labels(groups["q2"]) == [("d6", 1), ("d1", -1)]


def test_a_query_without_a_document_of_the_positive_grade_is_left_out(study):
    _, groups, counts = study.mine(positive_grade=2)
    assert list(groups) == ["q1", "q4"]
    assert counts["queries_without_positive"] == 2
    assert counts["relevant_below_positive_grade"] == 1
    assert ("d9", 1) in labels(groups["q1"])


def test_random_documents_are_unjudged_new_to_the_group_and_the_same_every_time(study):
    _, groups, counts = study.mine(random_documents=2)
    extra = {query_id: group[-2:] for query_id, group in groups.items()}
    assert counts["random"] == 6
    assert all(label == -1 for group in extra.values() for _, label, _ in group)
    # q1 has judged or ranked d1, d2, d3, d4, d5, d9
    assert {document for document, *_ in extra["q1"]} < {"d0", "d6", "d7", "d8"}

    def drawn(**settings):
        other = Study(study.path / f"seed {settings}")
        return [labels(group) for group in other.mine(random_documents=2, **settings)[1].values()]

    assert drawn(seed=0) == [labels(group) for group in groups.values()]
    assert drawn(seed=1) != drawn()


def test_a_collection_with_too_few_documents_gives_those_it_has(study):
    _, groups, _ = study.mine(random_documents=50)
    assert all(len(group) == 10 for group in groups.values())


def test_a_teacher_attaches_its_scores_and_what_it_did_not_see_is_counted(study):
    teacher = study.run("teacher", {"q1": ["d9", "d3", "d4"], "q2": ["d4", "d6", "d1"]})
    supervision, groups, counts = study.mine(teacher=teacher)
    assert supervision == ["labels", "teacher order", "teacher scores"]
    scores = {document: score for document, _, score in groups["q1"]}
    assert (scores["d9"], scores["d3"], scores["d4"]) == (3.0, 2.0, 1.0)
    assert math.isnan(scores["d1"])
    assert counts["without_teacher_score"] == 3 + 0 + 1


@pytest.mark.parametrize("setting", [{"first_rank": 2}, {"last_rank": 9}, {"random_documents": 1}, {"seed": 1}])
def test_every_setting_changes_the_identity(study, setting):
    base = dict(store=study.store, queries=study.queries, qrels=study.qrels, run=study.run("run", RANKED))
    assert identity(MineTrainingSet.C(**base)) != identity(MineTrainingSet.C(**base, **setting))


@pytest.mark.parametrize(
    "setting", [{"first_rank": 0}, {"first_rank": 5, "last_rank": 4}, {"random_documents": -1}, {"positive_grade": 0}]
)
def test_settings_that_mean_nothing_are_refused(study, setting):
    base = dict(store=study.store, queries=study.queries, qrels=study.qrels, run=study.run("run", RANKED))
    with pytest.raises(ConfigurationError):
        MineTrainingSet.__validate__(MineTrainingSet.C(**base, **setting))


def test_a_run_of_another_collection_is_refused(study):
    task = MineTrainingSet.C(
        store=study.store, queries=study.queries, qrels=study.qrels, run=study.run("other", {"q1": ["elsewhere"]})
    )
    with pytest.raises(DataError, match="the first is elsewhere"):
        study.submit(task)


def test_a_run_becomes_a_training_set_of_its_first_documents(study):
    task = RunTrainingSet.C(store=study.store, run=study.run("run", RANKED), depth=2)
    supervision, groups, counts = study.opened(task)
    assert supervision == ["teacher order", "teacher scores"]
    assert groups == {
        "q1": [("d1", -1, 5.0), ("d2", -1, 4.0)], "q2": [("d4", -1, 2.0), ("d1", -1, 1.0)], "q3": [("d1", -1, 1.0)]
    }  # fmt: skip
    assert counts == {"schema": 1, "groups": 3, "rows": 5, "groups_below_depth": 1}


def test_judgements_give_labels_to_the_documents_of_a_run(study):
    task = RunTrainingSet.C(store=study.store, run=study.run("run", RANKED), qrels=study.qrels)
    supervision, groups, counts = study.opened(task)
    assert supervision == ["labels", "teacher order", "teacher scores"]
    assert labels(groups["q1"]) == [("d1", -1), ("d2", 0), ("d3", 2), ("d4", -1), ("d5", 0)]
    assert (counts["judged"], counts["relevant"], counts["queries_without_judgement"]) == (4, 1, 0)


def test_a_run_whose_scores_mean_nothing_teaches_its_order_only(study):
    task = RunTrainingSet.C(store=study.store, run=study.run("run", RANKED), teaches="teacher order")
    assert study.opened(task)[0] == ["teacher order"]
    with pytest.raises(ConfigurationError, match="unknown meaning of scores"):
        RunTrainingSet.__validate__(RunTrainingSet.C(store=study.store, run=study.run("run", RANKED), teaches="taste"))


def test_the_generated_teacher_leaves_no_document_without_a_score(tmp_path):
    submit = InProcess(tmp_path)
    sizes = dict(documents=60, train_queries=8, validation_queries=4, test_queries=5, concepts=9, topics=3)
    parts = Generated.C(**sizes, homonym_pairs=2).prepare(submit)
    store = submit(StoreDocuments.C(documents=parts.documents))
    teacher = parts.teacher("train")
    task = MineTrainingSet.C(
        store=store, queries=parts.queries("train"), qrels=parts.qrels("train"), run=teacher, teacher=teacher,
        last_rank=10, random_documents=5,
    )  # fmt: skip
    groups = submit(task).instance().open()
    assert len(groups) == 8
    assert not any(np.isnan(groups.teacher_scores(query)).any() for query in range(8))


@pytest.mark.parametrize(("wanted", "excluded"), [(3, {0, 1}), (8, {0, 1}), (20, {0, 1}), (0, set()), (4, {-1, 3})])
def test_drawn_rows_are_distinct_and_never_excluded(wanted, excluded):
    rows = draw_rows(Draws(0, "x"), wanted, below=10, excluded=excluded)
    assert len(rows) == len(set(rows)) == min(wanted, 10 - len(excluded - {-1}))
    assert not set(rows) & excluded
    assert all(0 <= row < 10 for row in rows)
