"""The formats of published training data on miniature files: what each line means, and what a file is known by."""

import gzip
import hashlib
import json
import os
import random
import re
import tracemalloc
from collections import Counter
from pathlib import Path

import datamaestro_ir
import ir_datasets
import numpy as np
import pytest
from experimaestro import DirectoryContext
from fixtures.in_process import InProcess, identity
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import beir_folder, folder_study, plan_of, small_collection

from xpm_ce.data import delimited, ranked_rows
from xpm_ce.data.delimited import Block
from xpm_ce.data.distilled import RunTrainingSet
from xpm_ce.data.file_run import FileRun
from xpm_ce.data.first_documents import FirstDocuments
from xpm_ce.data.folder import Folder
from xpm_ce.data.groups import distilled_groups
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.published import HOFSTAETTER, MS_MARCO, PUBLISHED, RANK_DISTILLM, PublishedFile
from xpm_ce.data.store import StoreDocuments
from xpm_ce.data.triples import TripleTrainingSet
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import file_sha256
from xpm_ce.samplers.groups import GroupSampler

LABELLED_RUN = """\
11 0 107 1 21.5000 ColBERT
11 0 102 2 20.2500 ColBERT
11 0 101 3 20.2500 ColBERT
11 0 105 4 20.2500 ColBERT
11 0 103 5 19.0000 ColBERT
12 0 104 1 18.5000 ColBERT
12 0 106 2 18.5000 ColBERT
13 0 101 1 17.0000 ColBERT
"""
"""A first stage over three queries, whose scores tie as half-precision ones do"""

TEACHER_RUN = """\
11 Q0 103 1 20.25 rank_zephyr
11 Q0 107 2 21.5 rank_zephyr
11 Q0 105 3 20.25 rank_zephyr
11 Q0 101 4 20.25 rank_zephyr
11 Q0 102 5 19.0 rank_zephyr
12 Q0 106 1 18.5 rank_zephyr
12 Q0 104 2 18.5 rank_zephyr
"""
"""A language model's order of the same candidates; the scores are those of the first stage"""

ORDER = {"11": ["103", "107", "105", "101", "102"], "12": ["106", "104"]}


class Study:
    """Documents 100 to 109, queries 11 to 14, and 102 and 109 judged relevant for 11, 106 for 12, 101 not for 13."""

    def __init__(self, path):
        self.path = path
        folder = beir_folder(
            path / "collection",
            documents=[{"_id": f"{number}", "text": f"text {number}"} for number in range(100, 110)],
            queries={f"{number}": "x" for number in range(11, 15)},
            qrels={"train": [("11", "102", 1), ("11", "109", 1), ("12", "106", 1), ("13", "101", 0), ("14", "100", 1)]},
        )
        self.submit = InProcess(path / "workspace")
        parts = Folder.C(path=folder).prepare(self.submit)
        self.queries, self.qrels = parts.queries("train"), parts.qrels("train")
        self.store = self.submit(StoreDocuments.C(documents=parts.documents))

    def run(self, text, *, name="run.txt", **settings):
        path = self.path / f"{hashlib.md5(repr((text, name)).encode()).hexdigest()}.{name}"
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return FileRun.C(path=path, sha256=file_sha256(path), **settings)

    def ranked(self, run, *, depth=100, **settings):
        """(documents by query of a training set made from a run, its teacher scores, its counts)."""
        task = RunTrainingSet.C(store=self.store, run=run, depth=depth, teaches="teacher order", **settings)
        groups, counts = self.opened(task)
        documents = {query: [document for document, *_ in group] for query, group in groups.items()}
        scores = {query: [score for *_, score in group] for query, group in groups.items()}
        return documents, scores, counts

    def mined(self, run, **settings):
        """(documents and labels by query of a training set mined from a run, its counts)."""
        task = MineTrainingSet.C(store=self.store, queries=self.queries, qrels=self.qrels, run=run, **settings)
        groups, counts = self.opened(task)
        return {query: [(d, label) for d, label, _ in group] for query, group in groups.items()}, counts

    def opened(self, task):
        output = self.submit(task)
        stored, ids = output.instance().open(), self.store.instance().open().ids
        groups = {
            stored.query_id(query): [
                (ids[int(row)], int(label), float(score))
                for row, label, score in zip(
                    stored.documents(query), stored.labels(query), stored.teacher_scores(query), strict=True
                )
            ]
            for query in range(len(stored))
        }
        return groups, json.loads((Path(output.path).parent / "counts.json").read_text())


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


# -- the table ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_datamaestro_and_ir_datasets_know_a_file_by_the_same_md5(name):
    row = PUBLISHED[name]
    known = "".join(path.read_text() for path in Path(datamaestro_ir.__file__).parent.rglob("config/com/**/*.py"))
    known += (Path(ir_datasets.__file__).parent / "etc" / "downloads.json").read_text()
    for md5 in row.md5:
        assert re.fullmatch("[0-9a-f]{32}", md5)
        assert md5 in known
    assert row.file.strip("_") in known


def test_the_documentation_shows_the_published_files():
    page = Path(__file__).parents[2] / "docs" / "training_data.md"
    before, _, rest = page.read_text().partition("<!-- published -->\n")
    _, _, after = rest.partition("<!-- end of published -->")
    lines = ["| name | file | md5 | rows | queries | depth | source |", "|---|---|---|---|---|---|---|"]
    for name, row in PUBLISHED.items():
        counts = " | ".join(f"{count:,}" if count else "" for count in (row.rows, row.queries, row.depth))
        source = f"[{row.publication.citation}]({row.publication.source})"
        lines.append(f"| `{name}` | `{row.file}` | `{row.md5[0]}` | {counts} | {source} |")
    table = "\n".join(lines)
    wanted = f"{before}<!-- published -->\n{table}\n<!-- end of published -->{after}"
    if os.environ.get("XPM_CE_UPDATE_DOCS"):
        page.write_text(wanted)
    assert page.read_text() == wanted


@pytest.mark.parametrize("name", [name for name, row in PUBLISHED.items() if row.ir_datasets])
def test_the_number_of_triples_is_that_of_ir_datasets(name):
    row = PUBLISHED[name]
    assert row.ir_datasets is not None
    assert ir_datasets.load(row.ir_datasets).metadata()["docpairs"]["count"] == row.rows


def test_a_published_file_is_known_by_its_md5(study, monkeypatch):
    path = study.path / "colbert.run"
    path.write_text(LABELLED_RUN)
    run = FileRun.C(published="colbertv2-500", path=path)
    FileRun.__validate__(run)
    with pytest.raises(DataError, match=r"not as declared: md5 .*, not 6ed152027f7270f32fcbfaaa6def951e") as caught:
        study.ranked(run)
    assert "https://zenodo.org/records/12528410" in caught.value.remedy
    # a row of a file that is this one
    content = hashlib.md5(LABELLED_RUN.encode()).hexdigest()
    monkeypatch.setitem(PUBLISHED, "colbertv2-500", PublishedFile(RANK_DISTILLM, "x", ("0" * 32, content), queries=3))
    assert study.ranked(run, depth=2)[0]["12"] == ["104", "106"]


@pytest.mark.parametrize(
    ("publication", "text", "triples"),
    [
        (MS_MARCO, "11\t102\t107\n12\t106\t104\n", [("11", "102", "107"), ("12", "106", "104")]),
        (HOFSTAETTER, "10.25\t-3.5\t11\t102\t107\n", [("11", "102", "107")]),
    ],
)
@pytest.mark.parametrize("rows", [None, 1, 5])
def test_published_triples_are_read_by_their_columns(study, monkeypatch, caplog, publication, text, triples, rows):
    path = study.path / "triples.tsv"
    path.write_text(text)
    row = PublishedFile(publication, "triples.tsv", (hashlib.md5(text.encode()).hexdigest(),), rows=rows)
    monkeypatch.setitem(PUBLISHED, "miniature", row)
    task = TripleTrainingSet.C(store=study.store, queries=study.queries, published="miniature", path=path)
    stored, ids = study.submit(task).instance().open(), study.store.instance().open().ids
    found = [(stored.query_id(row), *(ids[int(each)] for each in stored.documents(row))) for row in range(len(stored))]
    assert found == triples
    if publication is HOFSTAETTER:
        assert stored.teacher_scores(0).tolist() == [10.25, -3.5]
    # counts are evidence, not identity: a file of the right md5 is read whatever its counts
    assert ("miniature has" in caplog.text) == (rows not in (None, len(triples)))


# -- runs ---------------------------------------------------------------------------------------------------


def test_a_teachers_order_is_its_ranks_never_its_scores(study):
    documents, scores, counts = study.ranked(study.run(TEACHER_RUN))
    assert documents == ORDER
    assert scores == {"11": [5, 4, 3, 2, 1], "12": [2, 1]}
    assert counts == {"schema": 1, "groups": 2, "rows": 7, "groups_below_depth": 2}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Q0", "0"),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace(" ", "\t ").replace("\n", " \r\n\n"),
        lambda text: "".join(random.Random(3).sample(lines := text.splitlines(keepends=True), len(lines))),
        lambda text: re.sub(r"\d+\.\d+", "1.0", text),
        lambda text: re.sub(r" \d+\.\d+", "", text),
        lambda text: re.sub(r" \d+\.\d+ ", " x ", text),
        lambda text: "# a comment\n" + text.rstrip("\n"),
    ],
    ids=["0", "tabs", "blanks", "shuffled", "tied", "no score", "another score", "comment"],
)
@pytest.mark.parametrize("name", ["run.txt", "run.gz"])
def test_what_does_not_say_the_order_does_not_change_it(study, change, name):
    text = change(TEACHER_RUN)
    documents, *_ = study.ranked(study.run(text, name=name))
    assert {query: documents[query] for query in ORDER} == ORDER
    assert study.run(text, name=name).instance().read()["11"].documents == ORDER["11"]


@settings(max_examples=12, deadline=None)
@given(lines=st.permutations(TEACHER_RUN.splitlines()), at_once=st.integers(1, 9), block=st.integers(1, 200))
def test_lines_in_any_order_make_the_same_lists(tmp_path_factory, lines, at_once, block):
    study = Study(tmp_path_factory.mktemp("shuffled"))
    before = ranked_rows.ROWS_AT_ONCE, delimited.BLOCK_BYTES
    ranked_rows.ROWS_AT_ONCE, delimited.BLOCK_BYTES = at_once, block
    try:
        assert study.ranked(study.run("\n".join(lines)))[0] == ORDER
    finally:
        ranked_rows.ROWS_AT_ONCE, delimited.BLOCK_BYTES = before


def test_the_depth_is_counted_in_the_first_stages_ranks(study):
    teacher, first_stage = study.run(TEACHER_RUN), study.run(LABELLED_RUN)
    documents, scores, counts = study.ranked(teacher, depth=3, first_stage=first_stage)
    # the first stage's first three are 107, 102, 101; the teacher orders them
    assert documents == {"11": ["107", "101", "102"], "12": ["106", "104"]}
    assert [sorted(each, reverse=True) for each in scores.values()] == list(scores.values())
    assert counts["groups_below_depth"] == 1
    assert study.ranked(teacher, depth=3)[0]["11"] == ORDER["11"][:3]
    whole, *_ = study.ranked(teacher, depth=5, first_stage=first_stage)
    assert whole == ORDER


def test_a_query_without_a_candidate_is_left_out_and_counted(study):
    first_stage = study.run("11 0 107 1 1 x\n12 0 100 1 1 x\n")
    documents, _, counts = study.ranked(study.run(TEACHER_RUN), depth=2, first_stage=first_stage)
    assert documents == {"11": ["107"]}
    assert counts["queries_without_candidate"] == 1


def test_queries_of_another_split_are_left_out(study):
    more = TEACHER_RUN + "999 Q0 103 1 1 x\n998 Q0 nowhere 1 1 x\n"
    assert study.ranked(study.run(more), queries=study.queries)[0] == ORDER
    with pytest.raises(DataError, match="document nowhere is unknown"):
        study.ranked(study.run(more))


def test_scores_order_where_they_are_asked_to(study):
    run = study.run(LABELLED_RUN, order="score")
    task = RunTrainingSet.C(store=study.store, run=run, queries=study.queries)
    groups, _ = study.opened(task)
    # ties stand in the order of their ranks
    assert groups["11"] == [
        ("107", -1, 21.5),
        ("102", -1, 20.25),
        ("101", -1, 20.25),
        ("105", -1, 20.25),
        ("103", -1, 19),
    ]
    assert list(task.supervision) == ["teacher order", "teacher scores"]


def test_a_tsv_of_ones_own_says_what_its_columns_are(study):
    text = "x\t107\t0.5\t11\nx\t103\t0.75\t11\nx\t104\t-1\t12\n"
    run = study.run(text, columns=["-", "document", "score", "query"], order="score")
    assert study.ranked(run)[0] == {"11": ["103", "107"], "12": ["104"]}
    assert run.instance().read()["11"].scores.tolist() == [0.75, 0.5]


def test_a_document_that_stands_twice_is_kept_once_at_its_better_rank(study):
    documents, _, counts = study.ranked(study.run(TEACHER_RUN + "11 Q0 102 1 9 x\n"), depth=2)
    assert documents["11"] == ["102", "103"]
    assert counts["repeated_documents"] == 1


@pytest.mark.parametrize(
    ("text", "settings", "what", "line"),
    [
        ("11 0 107 1 2 x\n11 0 107 one 2 x\n", {}, "the rank one is not a whole number", 2),
        ("11 0 107 1\n", {}, "malformed line", 1),
        ("11 0 107 1 x\n", {"order": "score"}, "malformed line", 1),
        ("11 0 107 1 high x\n", {"order": "score"}, "the score high is not a number", 1),
        ("11 0 107 1 2 x y\n", {}, "malformed line", 1),
    ],
)
def test_a_line_that_is_none_of_a_run_is_named(study, text, settings, what, line):
    with pytest.raises(DataError, match=what) as caught:
        study.ranked(study.run(text, **settings))
    assert caught.value.where.endswith(f":{line}")


def test_the_first_documents_of_a_run_are_a_run_of_the_splits_queries(study):
    more = LABELLED_RUN + "999 0 101 1 1 x\n"
    task = FirstDocuments.C(run=study.run(more), queries=study.queries, store=study.store, depth=2)
    first = study.submit(task)
    assert {query: list(ranking.documents) for query, ranking in first.instance().read().items()} == {
        "11": ["107", "102"], "12": ["104", "106"], "13": ["101"]
    }  # fmt: skip
    record = json.loads((Path(first.path).parent / "counts.json").read_text())
    assert record == {"schema": 1, "queries": 3, "queries_without_ranking": 1}


def test_a_large_run_of_a_task_is_read_as_a_small_one(study, monkeypatch):
    first = study.submit(
        FirstDocuments.C(run=study.run(LABELLED_RUN), queries=study.queries, store=study.store, depth=5)
    )

    def distilled():
        task = RunTrainingSet.C(store=study.store, run=first, depth=3).instance(DirectoryContext(study.path / "job"))
        (study.path / "job").mkdir(exist_ok=True)
        return [(group.query_id, *map(list, group[1:2]), list(group[3])) for group in distilled_groups(task, Counter())]

    in_memory = distilled()
    monkeypatch.setattr(ranked_rows, "LARGE", 0)
    monkeypatch.setattr(ranked_rows, "_InMemory", None)
    assert distilled() == in_memory
    assert len(in_memory) == 3


@pytest.mark.parametrize("shuffled", [False, True])
def test_memory_does_not_grow_with_a_run(study, tmp_path, monkeypatch, shuffled):
    monkeypatch.setattr(delimited, "BLOCK_BYTES", 1 << 16)
    monkeypatch.setattr(ranked_rows, "ROWS_AT_ONCE", 1 << 12)
    store, peaks = study.store.instance().open(), []
    for queries in (10_000, 40_000):
        lines = [f"{query} 0 {100 + place} {place + 1} 1.000000 x\n" for query in range(queries) for place in range(5)]
        if shuffled:
            random.Random(0).shuffle(lines)
        run = study.run("".join(lines)).instance()
        del lines
        tracemalloc.start()
        with ranked_rows.row_rankings(run, store, scratch=tmp_path) as rankings:
            for query in range(0, queries, 100):
                assert rankings.ranking(str(query)).rows.tolist() == [0, 1, 2, 3, 4]
            peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # of 150 000 lines more, as Python objects 30 MB, the ids of 30 000 queries are in memory
    assert peaks[1] - peaks[0] < 30_000 * 300


def test_nothing_of_a_run_is_left_beside_the_training_set(study):
    run = study.run(TEACHER_RUN)
    output = study.submit(RunTrainingSet.C(store=study.store, run=run, teaches="teacher order"))
    assert sorted(file.name for file in Path(output.path).parent.iterdir()) == ["counts.json", "training_set"]


# -- labels -------------------------------------------------------------------------------------------------


def test_positives_are_those_of_the_judgements_even_where_they_were_not_retrieved(study):
    groups, counts = study.mined(study.run(LABELLED_RUN))
    assert groups == {
        "11": [("102", 1), ("109", 1), ("107", -1), ("101", -1), ("105", -1), ("103", -1)],
        "12": [("106", 1), ("104", -1)],
        "14": [("100", 1)],
    }
    assert (counts["queries_without_positive"], counts["relevant_not_in_window"]) == (1, 2)


def test_positives_that_were_not_retrieved_can_be_left_out_with_their_queries(study):
    groups, counts = study.mined(study.run(LABELLED_RUN), inject=False)
    assert groups == {
        "11": [("102", 1), ("107", -1), ("101", -1), ("105", -1), ("103", -1)], "12": [("106", 1), ("104", -1)]
    }  # fmt: skip
    assert (counts["queries_without_positive"], counts["relevant_not_in_window"]) == (2, 0)


def test_negatives_come_from_a_window_of_ranks_and_none_twice(study):
    groups, _ = study.mined(study.run(LABELLED_RUN), first_rank=3, last_rank=4)
    assert groups["11"] == [("102", 1), ("109", 1), ("101", -1), ("105", -1)]
    task = MineTrainingSet.C(
        store=study.store, queries=study.queries, qrels=study.qrels, run=study.run(LABELLED_RUN)
    )  # fmt: skip
    steps = GroupSampler.C(documents_per_step=8, negatives=3).instance().open(study.submit(task).instance().open(), 0)
    seen = set()
    for step in range(40):
        for group in steps.step(step):
            documents = group.documents.tolist()
            assert len(set(documents)) == len(documents)
            assert group.labels[0] == 1
            assert (group.labels[1:] == -1).all()
            seen.update(documents)
    assert seen == {0 + row for row in (1, 2, 3, 4, 5, 6, 7, 9)}


def test_negatives_that_the_teacher_finds_as_good_as_a_positive_are_masked(study):
    teacher = study.run(
        "11 0 102 1 5 x\n11 0 109 1 4 x\n11 0 107 1 4.5 x\n11 0 101 1 3.5 x\n11 0 105 1 1 x\n", order="score"
    )
    groups, counts = study.mined(study.run(LABELLED_RUN), teacher=teacher, negative_margin=1.0)
    # at most 3 may a negative have; 103 has no score, and nothing of query 12 has
    assert groups["11"] == [("102", 1), ("109", 1), ("105", -1), ("103", -1)]
    assert groups["12"] == [("106", 1), ("104", -1)]
    assert counts["likely_relevant"] == 2
    assert study.mined(study.run(LABELLED_RUN), teacher=teacher, negative_margin=0.5)[0]["11"][2:] == [
        ("101", -1), ("105", -1), ("103", -1),
    ]  # fmt: skip


def test_a_masked_document_is_no_random_negative_either(study):
    teacher = study.run("11 0 102 1 5 x\n11 0 109 1 4 x\n11 0 107 1 4.5 x\n", order="score")
    groups, _ = study.mined(study.run(LABELLED_RUN), teacher=teacher, negative_margin=0.0, random_documents=9)
    assert {document for document, _ in groups["11"]} == {str(number) for number in range(100, 110)} - {"107"}


def test_a_margin_needs_a_teacher_with_scores(study):
    wired = {"store": study.store, "queries": study.queries, "qrels": study.qrels, "run": study.run(LABELLED_RUN)}
    for teacher in ({}, {"teacher": study.run(TEACHER_RUN)}):
        with pytest.raises(ConfigurationError, match="negative_margin compares scores of a teacher"):
            MineTrainingSet.__validate__(MineTrainingSet.C(**wired, **teacher, negative_margin=1.0))
    task = MineTrainingSet.C(**wired, teacher=study.run(TEACHER_RUN))
    assert task.supervision == ["labels", "teacher order"]


# -- configurations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "what"),
    [
        ({}, "neither a published file nor a path"),
        ({"path": Path("/a")}, "content of the file is not declared"),
        ({"published": "msmarco-triples-2"}, "unknown published file of run"),
        ({"published": "colbertv2-500", "columns": ["query"]}, "columns of a published file are known"),
        ({"published": "colbertv2-500", "order": "place"}, "order is 'place'"),
        ({"path": Path("/a"), "sha256": "0", "columns": ["query", "document", "score"]}, "ordered by rank"),
        ({"path": Path("/a"), "sha256": "0", "columns": ["query", "query", "document", "rank"]}, "do not describe"),
        ({"path": Path("/a"), "sha256": "0", "columns": ["query", "document", "rank", "tag"]}, "do not describe a run"),
    ],
)  # fmt: skip
def test_a_run_that_is_none_is_refused_when_planning(given_, what):
    with pytest.raises(ConfigurationError, match=what):
        FileRun.__validate__(FileRun.C(**given_))


def test_a_run_is_what_it_contains_how_it_is_read_or_its_published_name():
    here, there = ({"path": Path(folder), "sha256": "1" * 64} for folder in ("/a", "/b"))
    assert identity(FileRun.C(**here)) == identity(FileRun.C(**there))
    others = [
        FileRun.C(**here), FileRun.C(path=Path("/a"), sha256="2" * 64), FileRun.C(**here, order="score"),
        FileRun.C(**here, columns=["query", "document", "rank"]), FileRun.C(published="colbertv2-500"),
        FileRun.C(published="bm25-500"),
    ]  # fmt: skip
    assert len({identity(each) for each in others}) == len(others)
    assert identity(FileRun.C(published="bm25-500")) == identity(FileRun.C(published="bm25-500", path=Path("/x")))


def test_a_run_that_is_read_by_rank_teaches_no_scores(study):
    with pytest.raises(ConfigurationError, match="teaches is teacher scores, but the run is read by rank"):
        RunTrainingSet.__validate__(RunTrainingSet.C(store=study.store, run=study.run(TEACHER_RUN)))


# -- studies ------------------------------------------------------------------------------------------------


def planned(tmp_path, training_set, *, loss="infonce", sampler=None, **sections):
    """The plan of a study on a small folder, and its training set's job."""
    folder = tmp_path / "folder"
    if not folder.exists():
        small_collection(folder)
    learner = {"learner.loss": [loss], **({"learner.sampler": [sampler]} if sampler else {})}
    file = folder_study(tmp_path, folder, training_set=training_set, grid=learner, **sections)
    plan = plan_of(tmp_path / "workspace", file=file)
    (job,) = [job for job in plan.jobs if job.kind == "training set"]
    return plan, job


def kinds_above(plan, job):
    by_identity = {each.identity: each for each in plan.jobs}
    return {by_identity[identity].kind for identity in job.depends_on}


TRIPLES = {"type": "triples", "queries": 4}


def test_published_data_is_planned_where_it_is_not(tmp_path):
    plan, job = planned(
        tmp_path, {"type": "triples", "published": "bert-ensemble-triples"}, loss="margin_mse", sampler=TRIPLES
    )  # fmt: skip
    assert kinds_above(plan, job) == {"store"}
    plan, job = planned(tmp_path, {"type": "mined", "run": {"published": "colbertv2-500"}, "last_rank": 500})
    assert kinds_above(plan, job) == {"store"}
    lists = {"type": "lists", "documents": 50, "documents_per_step": 50}
    distilled = {
        "type": "run", "run": {"published": "rankzephyr-colbertv2-100"}, "teaches": "teacher order", "depth": 50,
        "first_stage": {"published": "colbertv2-500"},
    }  # fmt: skip
    plan, job = planned(tmp_path, distilled, loss="distill_ranknet", sampler=lists)
    assert kinds_above(plan, job) == {"store"}


def test_a_model_that_teaches_on_a_published_run_scores_its_first_documents(tmp_path):
    backbone = {"type": "hub", "id": "google/electra-base-discriminator", "revision": "0" * 40}
    model = {"name": "teacher", "backbone": backbone, "max_length": 64}
    teacher = {"model": model, "depth": 50}
    plan, job = planned(tmp_path, {"type": "mined", "run": {"published": "colbertv2-500"}, "teacher": teacher})
    assert kinds_above(plan, job) == {"store", "rerank"}
    by_identity = {each.identity: each for each in plan.jobs}
    (rerank,) = [by_identity[each] for each in job.depends_on if by_identity[each].kind == "rerank"]
    assert "cut" in kinds_above(plan, rerank)


def test_a_file_of_ones_own_is_planned_by_its_content(tmp_path):
    file = tmp_path / "triples.tsv"
    file.write_text("q0\td0\td5\n")
    section = {"type": "triples", "path": str(file)}
    _, job = planned(tmp_path, section, sampler=TRIPLES)
    moved = file.rename(tmp_path / "moved.tsv")
    _, same = planned(tmp_path, {**section, "path": str(moved)}, sampler=TRIPLES)
    moved.write_text("q0\td0\td6\n")
    _, other = planned(tmp_path, {**section, "path": str(moved)}, sampler=TRIPLES)
    assert job.identity == same.identity != other.identity


@pytest.mark.parametrize(
    ("training_set", "what"),
    [
        ({"type": "triples"}, "neither a published file nor a path"),
        ({"type": "triples", "published": "msmarco"}, "unknown published file of triples msmarco"),
        ({"type": "triples", "published": "msmarco-triples-2", "teacher": "collection"}, "training_set.teacher"),
        ({"type": "run"}, "needs one run"),
        ({"type": "run", "run": {"published": "bm25-500"}}, "read by rank"),
        ({"type": "run", "run": {"published": "bm25-500"}, "teacher": {"path": "RUN"}}, "needs one run"),
        ({"type": "mined", "run": {"published": "bm25-500", "depth": 3}}, "unknown key training_set.run.depth"),
        ({"type": "mined", "first_stage": {"published": "bm25-500"}}, "unknown key training_set.first_stage"),
    ],
)  # fmt: skip
def test_a_training_set_that_cannot_be_is_refused_with_its_line(tmp_path, training_set, what):
    if "teacher" in training_set and isinstance(training_set["teacher"], dict):
        run = tmp_path / "run.txt"
        run.write_text(LABELLED_RUN)
        training_set = {**training_set, "teacher": {"path": str(run)}}
    with pytest.raises(ConfigurationError, match=what) as caught:
        planned(tmp_path, training_set)
    assert re.search(r"study\.yaml:\d+", caught.value.where)


# -- lines --------------------------------------------------------------------------------------------------


@given(
    lines=st.lists(
        st.lists(st.text("0123456789abc#.-", min_size=1, max_size=20), min_size=3, max_size=3).map(tuple),
        min_size=1, max_size=20,
    ),
    blank=st.sampled_from([b" ", b"\t", b" \t ", b"\x0b"]),
)  # fmt: skip
def test_a_block_splits_lines_as_python_does(lines, blank):
    content = b"".join(blank.join(each.encode() for each in line) + b"\n" for line in lines)
    block = Block(Path("file"), ["a", "b", "c"], content, first_line=5, least=3)
    kept = [(number, line) for number, line in enumerate(lines, 5) if not line[0].startswith("#")]
    assert len(block) == len(kept)
    for place, column in enumerate("abc"):
        assert block.column(column).tolist() == [line[place].encode() for _, line in kept]
        written = [line[place] for _, line in kept]
        canonical = [int(each) if re.fullmatch("0|[1-9][0-9]{0,17}", each) else -1 for each in written]
        assert block.decimals(column).tolist() == canonical
    assert [block.where(place) for place in range(len(block))] == [f"file:{number}" for number, _ in kept]


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20))
def test_numbers_are_read_as_python_reads_them(values):
    content = "".join(f"{value!r} {-7 - place}\n" for place, value in enumerate(values)).encode()
    block = Block(Path("file"), ["x", "n"], content, first_line=1, least=2)
    np.testing.assert_array_equal(block.floats("x"), np.array(values, np.float32))
    assert block.integers("n").tolist() == [-7 - place for place in range(len(values))]
