"""Measures against values computed by hand; their names, the bounds of candidates, the per-query table."""

import math
import subprocess
import sys

import numpy as np
import pandas
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.errors import ConfigurationError, DataError, UnknownKeyError
from xpm_ce.measures import formulas, names
from xpm_ce.measures.bounds import best_order, random_order
from xpm_ce.measures.evaluate import UNJUDGED, graded, per_query
from xpm_ce.measures.names import MEASURES, Measure, parse, sorted_unique
from xpm_ce.measures.rankings import Ranking, separate, trec_order
from xpm_ce.measures.table import SCHEMA_KEY, Column, PerQueryTable, read_per_query, write_per_query


def ranking(documents: str) -> Ranking:
    """Documents named by one letter each, best first."""
    return Ranking(list(documents), np.arange(len(documents), 0, -1, dtype=np.float32))


def value(measure: str, documents: str, grades: dict[str, int]) -> float:
    return float(per_query({"q": ranking(documents)}, {"q": grades}, [measure]).values[0, 0])


# -- values by hand -----------------------------------------------------------------------------------------

GRADES = {"b": 3, "d": 1, "e": 2, "x": 0, "y": -2, "z": 1}
"""In `abxdye`, b, d and e are found at ranks 2, 4 and 6; z is relevant and not found; a is unjudged"""

IDEAL = 3 + 2 / math.log2(3) + 1 / 2 + 1 / math.log2(5)
"""Grades 3, 2, 1, 1 in the best order"""

BY_HAND = {
    "nDCG": (3 / math.log2(3) + 1 / math.log2(5) + 2 / math.log2(7)) / IDEAL,
    "nDCG@4": (3 / math.log2(3) + 1 / math.log2(5)) / IDEAL,
    "nDCG@2": (3 / math.log2(3)) / (3 + 2 / math.log2(3)),
    "nDCG@1": 0,
    "RR": 1 / 2,
    "RR@2": 1 / 2,
    "RR@1": 0,
    "RR(rel=2)": 1 / 2,
    "RR(rel=4)": 0,
    "AP": (1 / 2 + 2 / 4 + 3 / 6) / 4,
    "AP@4": (1 / 2 + 2 / 4) / 4,
    "AP(rel=2)": (1 / 2 + 2 / 6) / 2,
    "P@4": 2 / 4,
    "P@10": 3 / 10,
    "P(rel=2)@6": 2 / 6,
    "R@4": 2 / 4,
    "R(rel=2)@4": 1 / 2,
    "R@100": 3 / 4,
    "Success@1": 0,
    "Success@2": 1,
    "Success(rel=3)@2": 1,
    "Rprec": 2 / 4,
    "Rprec(rel=2)": 1 / 2,
    "Bpref": (1 + (1 - 1 / 1) + (1 - 1 / 1)) / 4,
    "Bpref(rel=2)": (1 + (1 - 2 / 2)) / 2,
    "Judged@2": 1 / 2,
    "Judged@4": 3 / 4,
    "Judged@10": 5 / 6,
    "Judged": 5 / 6,
}


@pytest.mark.parametrize("measure", BY_HAND)
def test_a_measure_has_the_value_computed_by_hand(measure):
    # Both are a handful of float64 operations: they may differ by the order of a sum, not by more.
    assert value(measure, "abxdye", GRADES) == pytest.approx(BY_HAND[measure], rel=1e-14, abs=0)


def test_the_values_by_hand_cover_every_measure():
    assert {parse(name).name for name in BY_HAND} == set(MEASURES)


@pytest.mark.parametrize("row", MEASURES.values(), ids=MEASURES)
def test_every_row_of_the_registry_has_its_formula_and_sentence(row):
    assert callable(getattr(formulas, row.formula))
    assert row.sentence.endswith(".")


def test_the_perfect_order_has_ndcg_one_and_unjudged_documents_lower_it():
    assert value("nDCG", "bedz", GRADES) == 1
    assert value("nDCG", "abedz", GRADES) < 1


def test_a_query_without_a_relevant_document_has_value_zero_and_counts_in_the_mean():
    qrels = {"good": {"a": 1}, "hopeless": {"a": -1, "b": -2}}
    run = {"good": ranking("a"), "hopeless": ranking("ab")}
    table = per_query(run, qrels, ["nDCG@10", "RR", "AP", "P@1", "R@1", "Success@1"])
    assert table.values.tolist() == [[1] * 6, [0] * 6]
    assert set(table.means().values()) == {0.5}


def test_a_judged_query_without_results_counts_as_zero_and_is_listed():
    qrels = {"missing": {"a": 1}, "present": {"a": 1}, "empty": {"a": 1}}
    run = {"present": ranking("a"), "empty": ranking("")}
    table = per_query(run, qrels, ["nDCG@10", "Judged@10"])
    assert table.query_ids == ["missing", "present", "empty"]
    assert table.missing == ["missing", "empty"]
    assert table.values.tolist() == [[0, 0], [1, 1], [0, 0]]
    assert table.means() == {"nDCG@10": 1 / 3, "Judged@10": 1 / 3}


def test_a_query_of_the_run_without_judgements_is_ignored_and_listed():
    qrels = {"judged": {"a": 1}, "blank": {}}
    run = {"other": ranking("a"), "judged": ranking("ba"), "blank": ranking("a")}
    table = per_query(run, qrels, ["RR"])
    assert table.query_ids == ["judged"]
    assert table.ignored == ["other", "blank"]
    assert table.means() == {"RR": 0.5}


def test_measures_keep_the_order_asked_for_under_their_canonical_names():
    table = per_query({"q": ranking("ab")}, {"q": {"b": 1}}, ["RR(rel=1)@10", "P@1", "AP"])
    assert table.measures == ["RR@10", "P@1", "AP"]
    assert table.values.tolist() == [[0.5, 0, 0.5]]


def test_the_order_of_the_ranking_counts_and_not_its_scores():
    upside_down = Ranking(["a", "b"], np.array([1, 2], dtype=np.float32))
    assert per_query({"q": upside_down}, {"q": {"a": 1}}, ["RR"]).means() == {"RR": 1}


def test_a_run_of_which_no_query_is_judged_is_refused():
    with pytest.raises(DataError, match=r"none of the 1 queries of the run .*for example 17"):
        per_query({"17": ranking("a")}, {"q17": {"a": 1}}, ["RR"])


def test_qrels_without_a_judgement_are_refused():
    with pytest.raises(DataError, match="no query has a judgement"):
        per_query({"q": ranking("a")}, {}, ["RR"])


# -- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("nDCG@10", Measure("nDCG", 10)),
        ("nDCG", Measure("nDCG")),
        ("RR(rel=2)@10", Measure("RR", 10, 2)),
        ("AP(rel=2)", Measure("AP", None, 2)),
        (" Judged@10 ", Measure("Judged", 10)),
        ("R(rel=1)@100", Measure("R", 100)),
    ],
)
def test_a_name_is_parsed_and_its_canonical_name_is_parsed_to_the_same_measure(text, measure):
    assert parse(text) == measure
    assert parse(str(measure)) == measure


def test_the_default_threshold_is_not_written():
    assert str(parse("RR(rel=1)@10")) == "RR@10"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("nDGC@10", UnknownKeyError, "unknown measure nDGC\n  Did you mean nDCG?"),
        ("MRR@10", ConfigurationError, "unknown measure MRR\n  It is spelt RR here."),
        ("recall@10", ConfigurationError, "unknown measure recall\n  It is spelt R here."),
        ("ndcg", ConfigurationError, "unknown measure ndcg\n  It is spelt nDCG here."),
        ("P", ConfigurationError, "P needs a cutoff\n  For example P@10."),
        ("R(rel=2)", ConfigurationError, "R needs a cutoff\n  For example R(rel=2)@10."),
        ("RR(real=2)", UnknownKeyError, "unknown parameter of RR: real\n  Did you mean rel?"),
        ("Rprec@10", ConfigurationError, "Rprec takes no cutoff\n  Write Rprec."),
        ("Bpref(rel=2)@5", ConfigurationError, "Bpref takes no cutoff\n  Write Bpref(rel=2)."),
        ("bpref", ConfigurationError, "unknown measure bpref\n  It is spelt Bpref here."),
        ("nDCG(rel=2)@10", UnknownKeyError, "unknown parameter of nDCG: rel\n  Nothing is valid here."),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_spelling(text, error, message):
    with pytest.raises(error) as refused:
        parse(text)
    assert type(refused.value) is error
    assert str(refused.value) == message


@pytest.mark.parametrize("text", ["", "nDCG@", "nDCG@0", "nDCG@010", "nDCG@ten", "P@1.5", "RR(rel=0)", "RR@10@10", 10])
def test_what_has_not_the_form_of_a_name_is_refused_with_the_place_and_an_example(text):
    with pytest.raises(ConfigurationError) as refused:
        parse(text, where="quickstart.yaml:7")
    assert str(refused.value).startswith(f"quickstart.yaml:7: {text!r} is not the name of a measure")
    assert "nDCG@10" in refused.value.remedy


def test_a_list_of_names_is_sorted_by_name_threshold_and_cutoff_each_once():
    asked = ["nDCG@100", "nDCG", "RR(rel=2)@10", "nDCG@20", "RR(rel=1)@10", "RR@10", "AP"]
    expected = ["AP", "RR@10", "RR(rel=2)@10", "nDCG@20", "nDCG@100", "nDCG"]
    assert sorted_unique(asked) == expected
    assert sorted_unique(reversed(asked)) == expected


def test_the_order_of_a_list_does_not_depend_on_the_order_of_the_registry(monkeypatch):
    asked = ["nDCG@10", "AP", "Judged@10", "RR"]
    before = sorted_unique(asked)
    monkeypatch.setattr(names, "MEASURES", dict(reversed(MEASURES.items())))
    assert sorted_unique(asked) == before


def test_names_tables_and_rankings_are_imported_without_numpy():
    modules = ", ".join(f"xpm_ce.measures.{name}" for name in ("names", "table", "rankings", "bounds"))
    script = f"import sys; import {modules}; print(sorted({{'numpy', 'pyarrow', 'torch'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- orders -------------------------------------------------------------------------------------------------


def test_trec_order_breaks_ties_by_descending_document_id():
    ordered = trec_order(["d1", "d10", "d9", "é", "d2"], [1, 1, 1, 1, 2])
    assert ordered.documents == ["d2", "é", "d9", "d10", "d1"]
    assert ordered.scores.tolist() == [2, 1, 1, 1, 1]
    assert ordered.scores.dtype == np.float32


def test_trec_order_takes_for_a_tie_what_is_one_in_float32():
    assert trec_order(["a", "b"], [1 + 1e-8, 1.0]).documents == ["b", "a"]
    assert trec_order(["a", "b"], [1 + 1e-6, 1.0]).documents == ["a", "b"]
    assert trec_order(["a", "b"], [0.0, -0.0]).documents == ["b", "a"]


def test_trec_order_of_nothing_is_nothing():
    assert trec_order([], []).documents == []


# Far enough from the lowest float32 for a few ties to be lowered; the edge itself has its own case.
@given(st.lists(st.floats(-(2.0**127), 2.0**127, width=32)))
def test_separated_scores_decrease_strictly_and_move_no_further_than_needed(scores):
    given_scores = np.sort(np.array(scores, dtype=np.float32))[::-1]
    separated, ties = separate(given_scores)
    assert separated.dtype == np.float32
    assert np.all(separated[1:] < separated[:-1])
    expected = []
    for score in given_scores:  # the same rule in the words of the definition, one document after the other
        below = np.nextafter(expected[-1], np.float32(-np.inf)) if expected else score
        expected.append(min(score, below))
    assert separated.tolist() == expected
    assert ties == np.count_nonzero(given_scores[1:] == given_scores[:-1])
    again = separate(separated)
    assert again.ties == 0
    assert again.scores.tobytes() == separated.tobytes()


def test_the_two_zeros_are_a_tie_and_are_separated_by_the_smallest_float32():
    separated, ties = separate([0.0, -0.0])
    assert separated.tolist() == [0.0, float(np.nextafter(np.float32(0), np.float32(-1)))]
    assert ties == 1


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0, 2.0], "the score 2.0 at rank 2 is above 1.0 before it"),
        ([2.0, float("nan")], "score 2 is nan"),
        ([float("inf"), 1.0], "score 1 is inf"),
        ([1.0, float("-inf")], "score 2 is -inf"),
        ([1e39, 1.0], "score 1 is 1e[+]39, which float32 cannot hold"),
        ([np.finfo(np.float32).min] * 2, "leave no room to separate them"),
    ],
)
def test_scores_that_cannot_be_separated_are_refused(scores, message):
    with pytest.raises(DataError, match=message):
        separate(scores)


def test_the_best_order_is_by_grade_and_keeps_ties_as_they_stood():
    grades = [GRADES.get(document, UNJUDGED) for document in "aybxed"]
    assert "".join("aybxed"[position] for position in best_order(np.array(grades), np.zeros(6, int))) == "bedayx"


def test_the_best_order_stays_within_each_query():
    assert best_order(np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1])).tolist() == [1, 0, 3, 2]


@given(st.permutations("abcdef"), st.lists(st.integers(-1, 3), min_size=8, max_size=8))
def test_no_order_of_the_candidates_beats_the_best_order(documents, grades):
    judged = dict(zip("abcdefgh", grades, strict=True))
    measures = ["nDCG@3", "nDCG", "RR", "AP", "AP(rel=2)", "P@2", "R(rel=2)@2", "Success@1", "Rprec"]
    looked_up = graded({"q": ranking("".join(documents))}, {"q": judged})
    best = looked_up.taken(best_order(looked_up.grade, looked_up.query))
    assert np.all(best.measured(measures).values >= looked_up.measured(measures).values)


def drawn(documents, query_id, seed):
    return "".join(documents[position] for position in random_order(list(documents), query_id, seed))


def test_the_random_order_depends_on_seed_query_and_set_of_candidates_only():
    candidates = "abcdefghijklmnop"
    assert drawn(candidates, "q1", 7) == "kaghmndpcefbolij"
    assert drawn(candidates[::-1], "q1", 7) == drawn(candidates, "q1", 7)
    assert drawn(candidates, "q2", 7) != drawn(candidates, "q1", 7) != drawn(candidates, "q1", 8)


def test_the_random_order_of_a_part_is_that_in_which_it_stands_in_the_whole():
    whole = drawn("abcdefghijklmnop", "q1", 7)
    assert drawn("bdfhj", "q1", 7) == "".join(document for document in whole if document in "bdfhj")


def test_the_random_order_puts_every_document_first_equally_often():
    firsts = [drawn("abcd", f"q{query}", 0)[0] for query in range(2000)]
    counts = [firsts.count(document) for document in "abcd"]
    # Binomial(2000, 1/4) has a standard deviation of 19.4: 5 of them, one draw, the same on every machine.
    assert sum(counts) == 2000
    assert max(abs(count - 500) for count in counts) < 97


# -- the table ----------------------------------------------------------------------------------------------

COLUMNS = [Column("nDCG@10", 100, "given"), Column("nDCG@10", 20, "given"), Column("RR(rel=2)@10", 100, "ceiling")]


def table(query_ids, columns=COLUMNS, values=None, protocol="dl19", identity="0" * 64):
    if values is None:
        values = np.random.default_rng(0).random((len(query_ids), len(columns)))
    return PerQueryTable(list(query_ids), protocol, identity, list(columns), values)


def assert_equal_tables(one, other):
    assert one._replace(values=None) == other._replace(values=None)
    assert one.values.dtype == np.float64
    assert one.values.tobytes() == np.ascontiguousarray(other.values).tobytes()


texts = st.text(st.characters(exclude_categories=["Cs"]))
columns = st.builds(Column, st.sampled_from([*MEASURES, "nDCG@10", "RR(rel=2)@10"]), st.integers(1, 1000), texts)


@given(st.data(), st.lists(texts, min_size=1, unique=True), st.lists(columns, unique=True, max_size=4), texts, texts)
def test_a_table_is_read_as_it_was_written(tmp_path_factory, data, query_ids, columns, protocol, identity):
    finite = st.floats(allow_nan=False, allow_infinity=False)
    size = len(query_ids) * len(columns)
    drawn = data.draw(st.lists(finite, min_size=size, max_size=size))
    written = table(query_ids, columns, np.reshape(drawn, (len(query_ids), len(columns))), protocol, identity)
    path = tmp_path_factory.mktemp("table") / "per_query.parquet"
    write_per_query(path, written)
    assert_equal_tables(read_per_query(path), written)


def test_a_table_reads_as_a_data_frame_in_any_other_tool(tmp_path):
    measured = per_query({"q": ranking("abc")}, {"q": {"c": 1}, "r": {"c": 1}}, ["RR", "P@1"])
    columns = [Column(measure, 100, "given") for measure in measured.measures]
    write_per_query(tmp_path / "t.parquet", table(measured.query_ids, columns, measured.values, "dev", "cafe"))
    frame = pandas.read_parquet(tmp_path / "t.parquet")
    assert frame.to_dict("list") == {
        "query_id": ["q", "r"], "protocol": ["dev", "dev"], "identity": ["cafe", "cafe"],
        "RR|100|given": [1 / 3, 0], "P@1|100|given": [0, 0],
    }  # fmt: skip


def test_columns_are_read_in_the_order_asked_for(tmp_path):
    written = table(["q1", "q2"])
    write_per_query(tmp_path / "t.parquet", written)
    read = read_per_query(tmp_path / "t.parquet", [COLUMNS[2], COLUMNS[0]])
    assert_equal_tables(read, written._replace(columns=[COLUMNS[2], COLUMNS[0]], values=written.values[:, [2, 0]]))


def test_equal_tables_are_equal_bytes(tmp_path):
    for name in ("one", "other"):
        write_per_query(tmp_path / name, table(["q1", "q2"]))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (table([]), "no query was measured"),
        (table(["q", "r", "q"]), "the query q stands twice"),
        (table(["q"], [*COLUMNS, COLUMNS[1]]), r"the column nDCG@10\|20\|given stands twice"),
        (table("qr", COLUMNS[:1], np.array([[1], [np.nan]])), r"the value of nDCG@10\|100\|given for query r is nan"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused_and_no_file_is_left(tmp_path, wrong, message):
    with pytest.raises(DataError, match=message):
        write_per_query(tmp_path / "t.parquet", wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_was_not_measured_is_refused_with_those_that_were(tmp_path):
    write_per_query(tmp_path / "t.parquet", table(["q"]))
    with pytest.raises(DataError, match=r"t\.parquet: there is no column AP\|100\|given") as refused:
        read_per_query(tmp_path / "t.parquet", [Column("AP", 100, "given")])
    assert "nDCG@10|20|given" in refused.value.remedy


def written_file(path, damage):
    write_per_query(path, table([str(query) for query in range(500)]))
    path.write_bytes(damage(path.read_bytes()))


DAMAGES = {
    "cut off": lambda content: content[:-100],
    "cut short": lambda content: content[:3],
    "empty": lambda content: b"",
    "text": lambda content: b"query_id\tvalue\n",
    "a flipped magic": lambda content: b"X" + content[1:-1] + b"X",
    "a hole": lambda content: content[:200] + bytes(2000) + content[2200:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_table_is_refused_with_its_path(tmp_path, damage):
    written_file(tmp_path / "t.parquet", damage)
    with pytest.raises(DataError, match=r"t\.parquet: this is no readable per-query table"):
        read_per_query(tmp_path / "t.parquet")


def test_a_table_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(DataError, match="no readable per-query table"):
        read_per_query(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("metadata", "message"), [({}, "no schema version"), ({SCHEMA_KEY: b"7"}, "schema version 7, not 1")]
)
def test_the_table_of_others_or_of_another_version_is_refused(tmp_path, metadata, message):
    foreign = pyarrow.table({"query_id": ["q"], "value": [0.5]}).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(foreign, tmp_path / "t.parquet")
    with pytest.raises(DataError, match=rf"t\.parquet: this is no per-query table of ours: {message}"):
        read_per_query(tmp_path / "t.parquet")
