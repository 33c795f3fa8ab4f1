"""Triples: what is read from a file of them, how they are stored, and in which order they are passed."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.in_process import InProcess, identity
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from studies import beir_folder

from xpm_ce.data import stored_triples
from xpm_ce.data.folder import Folder
from xpm_ce.data.store import StoreDocuments
from xpm_ce.data.stored_triples import StoredTriples, TripleRows, write_triples
from xpm_ce.data.supervision import LABELS, TEACHER_ORDER, TEACHER_SCORES
from xpm_ce.data.training_set import TrainingGroup, TrainingSet, write_training_set
from xpm_ce.data.triples import TripleTrainingSet
from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.identity import file_sha256
from xpm_ce.losses.margin_mse import MarginMSE
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.samplers.lists import ListSampler
from xpm_ce.samplers.padded import pad
from xpm_ce.samplers.permutation import Permutation
from xpm_ce.samplers.triples import TripleSampler

SCORED = ["positive_score", "negative_score", "query", "positive", "negative"]


class Study:
    """A collection of ten documents, queries 1 to 4, and files of triples."""

    def __init__(self, path, prefix=""):
        self.path = path
        folder = beir_folder(
            path / "collection",
            documents=[{"_id": f"{prefix}{number}", "text": f"text {number}"} for number in range(10)],
            queries={f"{prefix}{number}": "x" for number in range(1, 5)},
            qrels={"train": [(f"{prefix}{number}", f"{prefix}{number}", 1) for number in range(1, 5)]},
        )
        self.submit = InProcess(path / "workspace")
        parts = Folder.C(path=folder).prepare(self.submit)
        self.queries, self.store = parts.queries("train"), self.submit(StoreDocuments.C(documents=parts.documents))

    def task(self, text, *, name="triples.tsv", **settings):
        path = self.path / name
        content = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        declared = {"path": path, "sha256": file_sha256(path), **settings}
        return TripleTrainingSet.C(store=self.store, queries=self.queries, **declared)

    def read(self, text, **settings):
        """(triples as (query, positive, negative, scores), counts) of a file."""
        task = self.task(text, **settings)
        output = self.submit(task)
        triples, ids = output.instance().open(), self.store.instance().open().ids
        rows = [
            (triples.query_id(row), *(ids[int(document)] for document in triples.documents(row)),
             *triples.teacher_scores(row).tolist())
            for row in range(len(triples))
        ]  # fmt: skip
        return rows, json.loads((Path(output.path).parent / "counts.json").read_text())


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


def ids(rows):
    return [row[:3] for row in rows]


def triples(folder, count, scored=False, queries=None):
    """A set of triples: row i has the query i % 7, the positive 2 i and the negative 2 i + 1."""
    rows = np.arange(count)
    scores = (rows / 2, -rows / 4) if scored else (None, None)
    kinds = [LABELS, TEACHER_ORDER, TEACHER_SCORES] if scored else [LABELS]
    part = TripleRows(rows % 7, 2 * rows, 2 * rows + 1, *scores)
    write_triples(folder, [part], query_ids=queries or [f"q{i}" for i in range(7)], supervision=kinds, counts={})
    return StoredTriples(folder)


# -- files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["triples.tsv", "triples.tsv.gz"])
@pytest.mark.parametrize(
    "text", ["1\t7\t3\n2\t0\t9\n1\t7\t3\n", "1 7  3\n2\t0 9\n1 7 3", "1\t7\t3\r\n2\t0\t9\r\n\r\n1\t7\t3\r\n"]
)
def test_a_triple_is_a_line_of_three_ids_and_repeated_lines_are_kept(study, name, text):
    rows, counts = study.read(text, name=name)
    assert ids(rows) == [("1", "7", "3"), ("2", "0", "9"), ("1", "7", "3")]
    assert counts == {
        "schema": 1, "rows_of_the_file": 3, "rows": 3, "unknown_query": 0, "unknown_document": 0,
        "positive_is_negative": 0,
    }  # fmt: skip


def test_what_does_not_belong_to_the_collection_or_the_split_is_left_out_and_counted(study):
    rows, counts = study.read(
        "1\t7\t3\n5\t1\t2\n99999999999999999999\t1\t2\n2\t11\t3\n2\t3\t-4\n2\t03\t4\n3\t6\t6\n4\t1\t0\n"
    )
    assert ids(rows) == [("1", "7", "3"), ("4", "1", "0")]
    assert counts == {
        "schema": 1, "rows_of_the_file": 8, "rows": 2, "unknown_query": 2, "unknown_document": 3,
        "positive_is_negative": 1,
    }  # fmt: skip


def test_queries_without_a_triple_are_not_part_of_the_training_set(study):
    task = study.task("4\t1\t0\n2\t5\t6\n4\t3\t0\n")
    stored = study.submit(task).instance().open()
    assert stored.query_ids() == ["2", "4"]
    assert [stored.query_id(row) for row in range(3)] == ["4", "2", "4"]
    assert (len(stored), stored.rows) == (3, 6)


def test_ids_that_are_no_numbers_are_found_too(tmp_path):
    rows, counts = Study(tmp_path, prefix="d/é").read("d/é1\td/é7\td/é3\nd/é1\t7\td/é3\nd/é9\td/é7\td/é3\n")
    assert ids(rows) == [("d/é1", "d/é7", "d/é3")]
    assert (counts["unknown_query"], counts["unknown_document"]) == (1, 1)


def test_a_teachers_scores_stand_beside_their_documents(study):
    rows, _ = study.read("0.25\t-3\t1\t7\t3\n1e1\t2.5\t2\t0\t9\n", columns=SCORED)
    assert rows == [("1", "7", "3", 0.25, -3.0), ("2", "0", "9", 10.0, 2.5)]
    assert list(study.task("0 0 1 7 3\n", columns=SCORED).supervision) == [LABELS, TEACHER_ORDER, TEACHER_SCORES]


def test_columns_may_stand_in_any_order_and_be_ignored(study):
    rows, _ = study.read("x\t3\t7\t1\n", columns=["-", "negative", "positive", "query"])
    assert ids(rows) == [("1", "7", "3")]


@pytest.mark.parametrize(
    ("text", "settings", "what", "where"),
    [
        ("1\t7\t3\n1\t7\n", {}, r"malformed line b'1\\t7'", ":2"),
        ("1\t7\t3\n\n1\t7\t3\t4\n", {}, "malformed line", ":3"),
        ("0\tx\t1\t7\t3\n", {"columns": SCORED}, "the negative_score x is not a number", ":1"),
        ("0\t1\t1\t7\t3\n0\tnan\t1\t7\t3\n", {"columns": SCORED}, "the negative_score nan is not", ":2"),
        ("1e39\t1\t1\t7\t3\n", {"columns": SCORED}, "float32 can hold", ":1"),
        ("5\t7\t3\n", {}, "no triple is left", ""),
    ],
)
def test_what_is_no_triple_is_named_with_its_line(study, text, settings, what, where):
    with pytest.raises(DataError, match=what) as caught:
        study.read(text, **settings)
    assert caught.value.where.endswith(where)
    assert not list((study.path / "workspace").rglob("training_set.json"))


def test_a_gzip_file_that_was_cut_is_refused(study):
    whole = gzip.compress(b"1\t7\t3\n" * 1000)
    task = study.task("", name="cut.tsv")
    cut = study.path / "cut.tsv.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    task = TripleTrainingSet.C(store=study.store, queries=study.queries, path=cut, sha256=file_sha256(cut))
    with pytest.raises(DataError, match="no complete gzip file"):
        study.submit(task)


def test_a_file_that_changed_since_it_was_declared_is_refused(study):
    with pytest.raises(DataError, match="the content is not as declared: sha256"):
        study.read("1\t7\t3\n", sha256="0" * 64)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11), st.integers(0, 11)), min_size=1, max_size=40),
    block=st.integers(1, 60),
)
def test_blocks_of_any_size_read_the_same_triples(tmp_path_factory, rows, block):
    from xpm_ce.data import delimited

    path = tmp_path_factory.mktemp("blocks")
    text = "".join("\t".join(map(str, row)) + "\n" for row in [(1, 0, 9), *rows])
    before = delimited.BLOCK_BYTES
    delimited.BLOCK_BYTES = block
    try:
        found, counts = Study(path).read(text)
    finally:
        delimited.BLOCK_BYTES = before
    known = [(q, p, n) for q, p, n in [(1, 0, 9), *rows] if 1 <= q <= 4 and p < 10 and n < 10 and p != n]
    assert ids(found) == [tuple(map(str, row)) for row in known]
    assert counts["rows_of_the_file"] == len(rows) + 1


# -- configurations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "what"),
    [
        ({}, "neither a published file nor a path"),
        ({"path": Path("/a")}, "content of the file is not declared"),
        ({"published": "msmarco-triples-3"}, "unknown published file of triples"),
        ({"published": "colbertv2-500"}, "unknown published file of triples"),
        ({"published": "msmarco-triples-2", "sha256": "0" * 64}, "whose content is known"),
        ({"published": "msmarco-triples-2", "columns": SCORED}, "columns of a published file are known"),
        ({"path": Path("/a"), "sha256": "0", "columns": ["query", "positive"]}, "do not describe triples"),
        ({"path": Path("/a"), "sha256": "0", "columns": SCORED[1:]}, "do not describe triples"),
        ({"path": Path("/a"), "sha256": "0", "columns": ["query", "positive", "negative", "query"]}, "do not describe"),
    ],
)  # fmt: skip
def test_a_source_that_is_not_one_is_refused_when_planning(study, given_, what):
    with pytest.raises(ConfigurationError, match=what):
        TripleTrainingSet.__validate__(TripleTrainingSet.C(store=study.store, queries=study.queries, **given_))


def test_a_file_is_what_it_contains_and_a_published_one_its_name(study):
    def of(**source):
        return identity(TripleTrainingSet.C(store=study.store, queries=study.queries, **source))

    assert of(path=Path("/a"), sha256="1" * 64) == of(path=Path("/b"), sha256="1" * 64)
    assert of(path=Path("/a"), sha256="1" * 64) != of(path=Path("/a"), sha256="2" * 64)
    assert of(published="msmarco-triples-2") == of(published="msmarco-triples-2", path=Path("/anywhere"))
    assert of(published="msmarco-triples-2") != of(published="msmarco-triples-1")


def test_published_triples_say_what_they_carry_before_they_are_there(study):
    task = TripleTrainingSet.C(store=study.store, queries=study.queries, published="bert-ensemble-triples")
    TripleTrainingSet.__validate__(task)
    assert task.layout == SCORED
    assert task.supervision == [LABELS, TEACHER_ORDER, TEACHER_SCORES]


def test_planning_with_triples_loads_no_numpy():
    lines = "import sys, xpm_ce.data.triples, xpm_ce.samplers.triples; print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# -- stored -------------------------------------------------------------------------------------------------


def test_a_triple_is_a_group_of_a_positive_and_an_unjudged_document(tmp_path):
    stored = triples(tmp_path / "set", 20, scored=True)
    assert stored.documents(9).tolist() == [18, 19]
    assert stored.labels(9).tolist() == [1, -1]
    assert stored.teacher_scores(9).tolist() == [4.5, -2.25]
    assert stored.query_id(9) == "q2"
    assert stored.count(lambda labels, scores: (labels == 1) & (scores > 1)).tolist() == [0] * 3 + [1] * 17
    assert np.isnan(triples(tmp_path / "plain", 3).teacher_scores(1)).all()


def test_twelve_bytes_a_triple_and_twenty_with_scores(tmp_path):
    for scored, size in ((False, 12), (True, 20)):
        folder = tmp_path / str(scored)
        triples(folder, 10_000, scored)
        written = sum(file.stat().st_size for file in folder.glob("*.npy"))
        assert size * 10_000 <= written < size * 10_000 + 1000


def test_queries_are_numbered_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(stored_triples, "ROWS_AT_ONCE", 3)
    rows = np.array([6, 2, 2, 6, 4, 2, 6])
    part = TripleRows(rows, np.arange(7), np.arange(7) + 1)
    write_triples(tmp_path / "set", [part], query_ids=[f"q{i}" for i in range(9)], supervision=[LABELS], counts={})
    stored = StoredTriples(tmp_path / "set")
    assert [stored.query_id(row) for row in range(7)] == [f"q{i}" for i in rows]


def test_opening_says_what_a_folder_holds(tmp_path):
    triples(tmp_path / "triples", 4)
    write_training_set(tmp_path / "groups", [TrainingGroup("q", [1, 2], [1, -1])], supervision=[LABELS], counts={})
    for holds in ("triples", "groups"):
        training_set = TrainingSet.C(path=tmp_path / holds, supervision=[LABELS], holds=holds).instance()
        assert holds == training_set.open().HOLDS
        other = "groups" if holds == "triples" else "triples"
        with pytest.raises(DataError, match="not a complete"):
            TrainingSet.C(path=tmp_path / holds, supervision=[LABELS], holds=other).instance().open()
    with pytest.raises(ConfigurationError, match="holds is 'pairs'"):
        TrainingSet.__validate__(TrainingSet.C(path=tmp_path, supervision=[LABELS], holds="pairs"))


@pytest.mark.parametrize("file", ["queries.npy", "negatives.npy", "negative_scores.npy", "training_set.json"])
def test_a_set_without_a_file_is_not_complete(tmp_path, file):
    triples(tmp_path / "set", 4, scored=True)
    (tmp_path / "set" / file).unlink()
    with pytest.raises(DataError, match="not a complete set of triples"):
        StoredTriples(tmp_path / "set")


# -- order --------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 3000), key=st.integers())
def test_a_permutation_holds_every_number_once(size, key):
    assert sorted(Permutation(size, key)(np.arange(size)).tolist()) == list(range(size))


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 2**33), seed=st.integers(), data=st.data())
def test_a_place_of_a_permutation_needs_no_other_place(size, seed, data):
    places = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20)))
    together = Permutation(size, seed)(places)
    assert together.tolist() == [int(Permutation(size, seed)(places[i : i + 1])[0]) for i in range(len(places))]
    assert ((together >= 0) & (together < size)).all()


@pytest.mark.parametrize("size", [2, 7, 30])
def test_a_number_stands_everywhere_with_equal_chance(size):
    draws = 100 * size
    first = [int(Permutation(size, key)(np.zeros(1, np.int64))[0]) for key in range(draws)]
    assert chisquare(np.bincount(first, minlength=size)).pvalue > 0.001


def test_neighbours_of_a_file_are_far_apart_in_an_epoch():
    size = 1_000_003
    order = Permutation(size, "seed")(np.arange(100_000))
    steps = np.diff(order)
    # of uniform draws, the mean distance is a third of the size and one pair in half a million is adjacent
    assert abs(np.abs(steps).mean() / size - 1 / 3) < 0.01
    assert (np.abs(steps) == 1).sum() <= 3
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 0.01


def test_every_triple_comes_once_an_epoch_in_another_order_each(tmp_path):
    steps = TripleSampler.C(queries=7).instance().open(triples(tmp_path / "set", 50), seed=3)
    passed = [group.query_index for step in range(50) for group in steps.step(step)]
    epochs = [passed[50 * epoch : 50 * (epoch + 1)] for epoch in range(7)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 7
    assert (steps.usable, steps.skipped, steps.incomplete, steps.epochs(50)) == (50, 0, 0, 7)


def test_another_seed_is_another_order_and_a_step_needs_no_step_before(tmp_path):
    stored = triples(tmp_path / "set", 1000)

    def passed(seed, step):
        return [g.query_index for g in TripleSampler.C(queries=20).instance().open(stored, seed).step(step)]

    first = TripleSampler.C(queries=20).instance().open(stored, 0)
    in_order = [[group.query_index for group in first.step(step)] for step in range(60)]
    assert in_order[57] == passed(0, 57)
    assert in_order[57] != passed(1, 57)


def test_triples_can_be_read_in_the_order_of_the_file(tmp_path):
    steps = TripleSampler.C(queries=8, order="file").instance().open(triples(tmp_path / "set", 20), seed=3)
    assert [group.query_index for step in range(5) for group in steps.step(step)] == [*range(20), *range(20)]


def test_what_a_seed_draws_never_changes(tmp_path):
    # golden: whoever changes these numbers raises the version of the sampler
    steps = TripleSampler.C(queries=6).instance().open(triples(tmp_path / "set", 1000), seed=7)
    assert [group.query_index for group in steps.step(200)] == [235, 553, 559, 1, 210, 934]


def test_a_drawn_triple_serves_a_loss_on_margins(tmp_path):
    stored = triples(tmp_path / "set", 20, scored=True)
    drawn = TripleSampler.C(queries=4, order="file").instance().open(stored, seed=0).step(1)
    padded = pad(drawn, stored.supervision)
    known, mask = padded.supervision(torch.from_numpy), torch.from_numpy(padded.mask)
    assert padded.labels.tolist() == [[1, -1]] * 4
    margins = torch.tensor([0.75 * row for row in range(4, 8)])
    loss = MarginMSE.C().instance()(torch.zeros(4, 2), known, mask)
    assert loss.item() == pytest.approx((margins**2).mean().item())


@pytest.mark.parametrize("sampler", [GroupSampler.C(queries=1, negatives=1), ListSampler.C(queries=1, documents=2)])
def test_samplers_of_groups_refuse_triples_and_the_other_way_round(tmp_path, sampler):
    stored = triples(tmp_path / "triples", 4)
    with pytest.raises(DataError, match="draws from groups, but the training set holds triples"):
        sampler.instance().open(stored, 0)
    planned = TrainingSet.C(path=tmp_path, supervision=[LABELS], holds="triples")
    with pytest.raises(ConfigurationError, match="draws from groups, but the training set holds triples"):
        sampler.instance().check(planned)
    with pytest.raises(ConfigurationError, match="draws from triples, but the training set holds groups"):
        TripleSampler.C(queries=1).instance().check(TrainingSet.C(path=tmp_path, supervision=[LABELS]))
    TripleSampler.C(queries=1).instance().check(planned)


def test_an_order_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="order is 'random'"):
        TripleSampler.__validate__(TripleSampler.C(queries=1, order="random"))


# -- full size ----------------------------------------------------------------------------------------------

FULL_SIZE = 5_000_000
BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fixtures.in_process import InProcess
from xpm_ce.data.folder import Folder
from xpm_ce.data.store import StoreDocuments
from xpm_ce.data.triples import TripleTrainingSet
from xpm_ce.samplers.triples import TripleSampler

folder, file, workspace = map(Path, sys.argv[2:5])
submit = InProcess(workspace)
parts = Folder.C(path=folder).prepare(submit)
task = TripleTrainingSet.C(
    store=submit(StoreDocuments.C(documents=parts.documents)), queries=parts.queries("train"), path=file,
    sha256=submit.hashes.sha256(file), columns=["positive_score", "negative_score", "query", "positive", "negative"],
)
output = submit(task)

def kilobytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])

print(kilobytes("VmHWM"))  # the peak of this program; ru_maxrss would include that of the one that started it
triples = output.instance().open()
before = kilobytes("RssAnon")  # pages of mapped files belong to the page cache
steps = TripleSampler.C(queries=64).instance().open(triples, seed=0)
seen = {group.query_index for step in range(200) for group in steps.step(step)}
assert len(seen) == min(64 * 200, len(triples)), len(seen)
print(kilobytes("RssAnon") - before)
print(len(triples))
"""


def digits(numbers, width):
    """Decimal digits of numbers, uint8 `[numbers, width]`."""
    return (numbers[:, None] // 10 ** np.arange(width - 1, -1, -1) % 10 + ord("0")).astype(np.uint8)


def write_scored_triples(path, rows):
    """A file of `rows` lines like `7.123456<tab>0.654321<tab>query<tab>positive<tab>negative`."""
    generator = np.random.default_rng(0)
    with open(path, "wb") as stream:
        for first in range(0, rows, 250_000):
            count = min(250_000, rows - first)
            tab, dot, end = (np.full((count, 1), ord(each), np.uint8) for each in "\t.\n")
            lines = []
            for _ in range(2):
                lines += [digits(generator.integers(0, 10, count), 1), dot]
                lines += [digits(generator.integers(0, 10**6, count), 6), tab]
            for low, high in ((1000, 3000), (10_000, 15_000), (15_000, 20_000)):
                lines += [digits(generator.integers(low, high, count), len(str(low))), tab]
            stream.write(np.concatenate([*lines[:-1], end], axis=1).tobytes())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_number_of_triples(tmp_path):
    collection = beir_folder(
        tmp_path / "collection",
        documents=[{"_id": str(number), "text": "x"} for number in range(10_000, 20_000)],
        queries={str(number): "x" for number in range(1000, 3000)},
        qrels={"train": [(str(number), "10000", 1) for number in range(1000, 3000)]},
    )
    peaks, grown = {}, {}
    for rows in (FULL_SIZE // 10, FULL_SIZE):
        file = tmp_path / f"{rows}.tsv"
        write_scored_triples(file, rows)
        arguments = [str(Path(__file__).parent.parent), str(collection), str(file), str(tmp_path / f"workspace {rows}")]
        done = subprocess.run([sys.executable, "-c", BUILD, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peak, growth, stored = map(int, done.stdout.split())
        assert stored == rows
        peaks[rows], grown[rows] = peak, growth
    # in kilobytes, where 90 MB more are stored of 160 MB more of text
    assert peaks[FULL_SIZE] - peaks[FULL_SIZE // 10] < 40_000, peaks
    assert max(grown.values()) < 5_000, grown
