"""Dividing training queries into parts, and finding those that are test queries."""

import json

import pytest
from fixtures.in_process import InProcess, identity
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.data.folder import Folder
from xpm_ce.data.overlap import normalised, overlap
from xpm_ce.data.split import Fold, QrelsOfFold, QrelsOfPart, QueriesOfFold, QueriesOfPart, fold_of, part_of
from xpm_ce.errors import ConfigurationError

FOLDS_OF_TWELVE = [2, 1, 2, 2, 2, 1, 1, 2, 1, 1, 1, 2]
"""Folds, of two, of the queries named 0 to 11 with seed 0"""


@pytest.fixture
def parts(tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d", "text": "x"}\n')
    ids = [f"q{number}" for number in range(200)]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps({"_id": i, "text": i}) + "\n" for i in ids))
    (tmp_path / "qrels" / "train.tsv").write_text("".join(f"{i} 0 d 1\n" for i in ids))
    return Folder.C(path=tmp_path).prepare(InProcess(tmp_path / "workspace"))


def test_the_two_parts_are_all_queries_and_share_none(parts):
    whole = parts.queries("train")
    train, validation = (
        QueriesOfPart.C(queries=whole, part=part, fraction=0.2).instance().read() for part in ("train", "validation")
    )
    assert not set(train) & set(validation)
    assert train | validation == whole.instance().read()
    assert 20 <= len(validation) <= 60  # 40 expected, standard deviation 5.7


def test_judgements_go_with_their_queries(parts):
    for part in ("train", "validation"):
        queries = QueriesOfPart.C(queries=parts.queries("train"), part=part, seed=3).instance().read()
        assert list(QrelsOfPart.C(qrels=parts.qrels("train"), part=part, seed=3).instance().read()) == list(queries)


@given(st.text(max_size=10), st.integers(0, 9), st.floats(0.01, 0.49))
def test_a_larger_fraction_keeps_every_validation_query(query_id, seed, fraction):
    if part_of(query_id, seed=seed, fraction=fraction) == "validation":
        assert part_of(query_id, seed=seed, fraction=2 * fraction) == "validation"


def test_part_fraction_and_seed_are_part_of_the_identity(parts):
    whole = parts.queries("train")
    settings = [
        {"part": "train"}, {"part": "validation"}, {"part": "train", "seed": 1}, {"part": "train", "fraction": 0.2}
    ]  # fmt: skip
    assert len({identity(QueriesOfPart.C(queries=whole, **setting)) for setting in settings}) == 4


@pytest.mark.parametrize(
    "setting", [{"part": "dev"}, {"part": "train", "fraction": 0.0}, {"part": "train", "fraction": 1}]
)
def test_a_part_that_does_not_exist_is_refused(parts, setting):
    for kind, whole in (
        (QueriesOfPart, {"queries": parts.queries("train")}),
        (QrelsOfPart, {"qrels": parts.qrels("train")}),
    ):
        with pytest.raises(ConfigurationError):
            kind.__validate__(kind.C(**whole, **setting))


def fold(number, *, folds=3, outside=False, seed=0):
    return Fold.C(folds=folds, number=number, outside=outside, seed=seed)


def queries_of(parts, **setting):
    return QueriesOfFold.C(queries=parts.queries("train"), fold=fold(**setting)).instance().read()


def test_the_folds_are_all_queries_and_share_none(parts):
    whole = parts.queries("train").instance().read()
    folds = [queries_of(parts, number=number) for number in (1, 2, 3)]
    assert sorted(query for each in folds for query in each) == sorted(whole)
    assert all(45 <= len(each) <= 90 for each in folds)  # 67 expected, standard deviation 6.7


def test_what_is_outside_a_fold_is_all_of_the_others_in_the_order_of_the_source(parts):
    whole = parts.queries("train").instance().read()
    inside, outside = queries_of(parts, number=2), queries_of(parts, number=2, outside=True)
    assert outside == {query: text for query, text in whole.items() if query not in inside}
    assert list(outside) == [query for query in whole if query in outside]


@pytest.mark.parametrize("outside", [False, True])
def test_judgements_of_a_fold_are_those_of_its_queries(parts, outside):
    qrels = QrelsOfFold.C(qrels=parts.qrels("train"), fold=fold(1, outside=outside)).instance().read()
    assert list(qrels) == list(queries_of(parts, number=1, outside=outside))


@given(st.text(max_size=10), st.integers(0, 9), st.integers(2, 7))
def test_a_query_is_in_exactly_one_fold_and_outside_all_others(query_id, seed, folds):
    numbers = range(1, folds + 1)
    inside = [n for n in numbers if fold(n, folds=folds, seed=seed).instance().holds(query_id)]
    outside = [n for n in numbers if fold(n, folds=folds, seed=seed, outside=True).instance().holds(query_id)]
    assert inside == [fold_of(query_id, seed=seed, folds=folds)]
    assert sorted(inside + outside) == list(numbers)


def test_folds_are_drawn_apart_from_the_parts_of_the_same_seed():
    ids = [f"q{number}" for number in range(1000)]
    validation = [each for each in ids if part_of(each, seed=0, fraction=0.3) == "validation"]
    first = sum(fold_of(each, seed=0, folds=2) == 1 for each in validation)
    assert 0.4 < first / len(validation) < 0.6


def test_a_fold_of_a_query_is_the_same_on_every_machine():
    assert [fold_of(str(number), seed=0, folds=2) for number in range(12)] == FOLDS_OF_TWELVE
    assert [fold_of(str(number), seed=1, folds=2) for number in range(12)] != FOLDS_OF_TWELVE


def test_number_folds_side_and_seed_of_a_fold_are_part_of_the_identity(parts):
    whole = parts.queries("train")
    settings = [fold(1), fold(2), fold(1, outside=True), fold(1, seed=1), fold(1, folds=4)]
    assert len({identity(QueriesOfFold.C(queries=whole, fold=setting)) for setting in settings}) == 5


@pytest.mark.parametrize(("number", "folds"), [(1, 1), (0, 2), (3, 2)])
def test_a_fold_that_does_not_exist_is_refused(number, folds):
    with pytest.raises(ConfigurationError, match="fold"):
        Fold.__validate__(fold(number, folds=folds))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("What is BM25?", "what is bm25"),
        ("  two\twords\n", "Two words"),
        ("co-operate", "co operate"),
        ("ﬁne", "FINE"),
        ("Straße", "STRASSE"),
        ("snake_case", "snake case"),
        ("\N{FULLWIDTH DIGIT ONE}2", "12"),
    ],
)
def test_what_differs_in_writing_only_is_the_same_query(text, other):
    assert normalised(text) == normalised(other)


@given(st.text(max_size=20))
def test_normalising_twice_changes_nothing(text):
    assert normalised(normalised(text)) == normalised(text)


def test_training_queries_that_are_test_queries_are_counted_and_named():
    train = {"t1": "What is BM25?", "t2": "what is, bm25", "t3": "something else", "t4": "?!"}
    test = {"e1": "what is BM25", "e2": "What is bm25!", "e3": "..."}
    found = overlap(train, test)
    assert found == (4, 3, 2, (("t1", "e1"), ("t2", "e1")))
    assert overlap(train, test, shown=1).pairs == (("t1", "e1"),)
    assert overlap(train, {}).shared_train_queries == 0
