"""Run files: round trips, ties, comments, broken lines, and runs from elsewhere."""

import gzip
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpm_ce.data.runs import ExternalRun, Ranking, Run, cut, read_run, write_run
from xpm_ce.errors import ConfigurationError, DataError

ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n\r\x0b\x0c"), min_size=1)
query_ids = ids.filter(lambda text: not text.startswith("#"))
scores = st.floats(-(2.0**127), 2.0**127, width=32) | st.sampled_from([0.0, -0.0, 1.0, 1e-45, 3.4028234e38])


@st.composite
def some_rankings(draw):
    """Runs of a few queries with many tied scores, best first."""
    run = {}
    for query in draw(st.lists(query_ids, unique=True, max_size=3)):
        documents = draw(st.lists(ids, unique=True, min_size=1, max_size=6))
        values = draw(st.lists(scores, min_size=len(documents), max_size=len(documents)))
        run[query] = Ranking(documents, np.sort(np.array(values, dtype=np.float32))[::-1])
    return run


def assert_equal(one, other):
    assert list(one) == list(other)
    for query in one:
        assert one[query].documents == other[query].documents
        assert one[query].scores.dtype == other[query].scores.dtype == np.float32
        assert one[query].scores.tobytes() == other[query].scores.tobytes()


def ranking(documents, scores):
    return Ranking(documents, np.array(scores, dtype=np.float32))


@given(some_rankings(), st.sampled_from(["run.txt", "run.gz"]))
def test_a_written_run_is_read_as_written_with_strictly_decreasing_float32_scores(tmp_path_factory, rankings, name):
    folder = tmp_path_factory.mktemp("runs")
    ties = write_run(folder / name, rankings, "tag")
    first = read_run(folder / name)
    assert {query: each.documents for query, each in first.items()} == {
        query: each.documents for query, each in rankings.items()
    }
    assert all(np.all(each.scores[1:] < each.scores[:-1]) for each in first.values())
    assert ties == sum(np.count_nonzero(each.scores[1:] == each.scores[:-1]) for each in rankings.values())

    assert write_run(folder / f"again.{name}", first, "tag") == 0
    assert_equal(read_run(folder / f"again.{name}"), first)
    assert (folder / f"again.{name}").read_bytes() == (folder / name).read_bytes()


def test_a_run_has_six_columns_ranks_from_one_and_all_digits_of_float32(tmp_path):
    rankings = {"q2": ranking(["b", "a", "c"], [0.1, 0.1, -3]), "q1": ranking(["a"], [1e20])}
    assert write_run(tmp_path / "run", rankings, "bm25") == 1
    assert (tmp_path / "run").read_text() == (
        "q2 Q0 b 1 0.1 bm25\nq2 Q0 a 2 0.099999994 bm25\nq2 Q0 c 3 -3.0 bm25\nq1 Q0 a 1 1e+20 bm25\n"
    )


def test_a_gzip_run_has_the_same_bytes_whatever_its_name_and_time(tmp_path):
    rankings = {"q": ranking(["a", "b"], [2, 1])}
    for name in ("one.gz", "two.gz"):
        write_run(tmp_path / name, rankings, "tag")
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    flags_and_time = (tmp_path / "one.gz").read_bytes()[3:8]  # RFC 1952: no name, no time
    assert flags_and_time == bytes(5)
    assert gzip.decompress((tmp_path / "one.gz").read_bytes()) == b"q Q0 a 1 2.0 tag\nq Q0 b 2 1.0 tag\n"


def test_a_query_without_documents_leaves_no_line(tmp_path):
    write_run(tmp_path / "run", {"q": ranking([], []), "r": ranking(["a"], [1])}, "tag")
    assert list(read_run(tmp_path / "run")) == ["r"]


def test_a_run_without_queries_is_an_empty_file(tmp_path):
    assert write_run(tmp_path / "run", {}, "tag") == 0
    assert read_run(tmp_path / "run") == {}


@pytest.mark.parametrize(
    ("query", "documents", "scores", "message"),
    [
        ("q", ["a", "b"], [1, 2], "query q: the score 2.0 at rank 2 is above 1.0"),
        ("q", ["a"], [float("nan")], "query q: score 1 is nan"),
        ("q", ["a"], [float("inf")], "query q: score 1 is inf"),
        ("q", ["a", "a"], [2, 1], "query q: the document id a stands twice"),
        ("q", ["a b"], [1], "query q: the document id 'a b' is empty or holds a blank"),
        ("q", ["", "a b"], [2, 1], "query q: the document id '' is empty or holds a blank"),
        ("q", ["a\nb"], [1], r"query q: the document id 'a\\nb' is empty or holds a blank"),
        ("q", ["\ud800"], [1], "query q: a document id is not valid Unicode"),
        ("q", ["a"], [2, 1], "query q: 1 documents but 2 scores"),
        ("q 1", ["a"], [1], "the query id 'q 1' is empty or holds a blank"),
        ("#q", ["a"], [1], "the query id begins with #"),
    ],
)
def test_a_ranking_that_a_run_cannot_hold_is_refused_and_no_file_is_left(tmp_path, query, documents, scores, message):
    for name in ("run", "run.gz"):
        with pytest.raises(DataError, match=message):
            write_run(tmp_path / name, {"fine": ranking(["a"], [1]), query: ranking(documents, scores)}, "tag")
    assert list(tmp_path.iterdir()) == []


def test_a_tag_with_a_blank_is_refused(tmp_path):
    with pytest.raises(DataError, match="the tag 'my run' is empty or holds a blank"):
        write_run(tmp_path / "run", {}, "my run")


def test_reading_sorts_by_score_then_rank_then_line(tmp_path):
    (tmp_path / "run").write_text(
        "q Q0 low 1 1.0 t\nq Q0 third 3 2.0 t\nr Q0 only 1 0 t\n"
        "q Q0 second 2 2.0 t\nq Q0 fourth 3 2.0 t\nq Q0 top 9 3e0 t\n"
    )
    run = read_run(tmp_path / "run")
    assert run["q"].documents == ["top", "second", "third", "fourth", "low"]
    assert run["q"].scores.tolist() == [3, 2, 2, 2, 1]
    assert list(run) == ["q", "r"]


def test_reading_skips_blank_lines_and_comments_and_takes_tabs_and_windows_line_ends(tmp_path):
    (tmp_path / "run").write_bytes(
        b"# ir_metadata.start\n# tag: one two three four five\n\nq\tQ0\ta\t1\t 2.5\tt\r\n   \nq Q0 b 2 1 t"
    )
    assert_equal(read_run(tmp_path / "run"), {"q": ranking(["a", "b"], [2.5, 1])})


def test_an_id_may_hold_what_only_unicode_calls_a_blank(tmp_path):
    rankings = {"q\u00a0\u2028": ranking(["d\u3000\x1c", "d\x85"], [2, 1])}
    write_run(tmp_path / "run", rankings, "tag")
    assert_equal(read_run(tmp_path / "run"), rankings)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 b 2 1.0", "run:2: malformed line"),
        ("q Q0 b 2 1.0 my tag", "run:2: malformed line"),
        ("q Q0 b 2 high t", "run:2: malformed line"),
        ("q Q0 b second 1.0 t", "run:2: malformed line"),
        ("q Q0 b 2 nan t", "run:2: the score nan is not a number that float32 can hold"),
        ("q Q0 b 2 -inf t", "run:2: the score -inf is not"),
        ("q Q0 b 2 1e39 t", "run:2: the score 1e39 is not"),
        ("q Q0 a 2 1.0 t", "run:2: document a stands twice for this query"),
    ],
)
def test_a_broken_line_is_refused_with_its_number(tmp_path, line, message):
    (tmp_path / "run").write_text(f"q Q0 a 1 2.0 t\n{line}\n")
    with pytest.raises(DataError, match=message):
        read_run(tmp_path / "run")


def test_the_largest_float32_is_read(tmp_path):
    largest = float(np.finfo(np.float32).max)
    rankings = {"q": ranking(["a", "b"], [largest, -largest])}
    write_run(tmp_path / "run", rankings, "tag")
    assert_equal(read_run(tmp_path / "run"), rankings)


def test_a_file_that_is_absent_cut_off_or_not_utf8_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such run file"):
        read_run(tmp_path / "run")
    (tmp_path / "plain.gz").write_text("q Q0 a 1 2.0 t\n")
    with pytest.raises(DataError, match="no complete gzip file"):
        read_run(tmp_path / "plain.gz")
    (tmp_path / "short.gz").write_bytes(gzip.compress(b"q Q0 a 1 2.0 t\n")[:-6])
    with pytest.raises(DataError, match="no complete gzip file"):
        read_run(tmp_path / "short.gz")
    (tmp_path / "latin1").write_bytes("q Q0 é 1 2.0 t\n".encode("latin1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_run(tmp_path / "latin1")


def test_cutting_keeps_the_first_documents_and_every_query():
    rankings = {"q": ranking(["a", "b", "c"], [3, 2, 1]), "r": ranking(["a"], [1])}
    assert_equal(cut(rankings, 2), {"q": ranking(["a", "b"], [3, 2]), "r": ranking(["a"], [1])})
    with pytest.raises(ConfigurationError, match="a depth of 0 leaves no document"):
        cut(rankings, 0)


# -- configurations -----------------------------------------------------------------------------------------


def test_a_run_reads_the_file_at_its_path(tmp_path):
    rankings = {"q": ranking(["b", "a"], [2, 1])}
    write_run(tmp_path / "run.gz", rankings, "tag")
    assert_equal(Run.C(path=tmp_path / "run.gz").read(), rankings)


def external(path):
    return ExternalRun.C(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_run_from_elsewhere_is_read_in_the_order_of_trec_eval(tmp_path):
    (tmp_path / "run").write_text("q Q0 a 1 1.00000001 t\nq Q0 b 2 1.0 t\nq Q0 c 3 0.5 t\n")
    assert read_run(tmp_path / "run")["q"].documents == ["a", "b", "c"]
    assert external(tmp_path / "run").read()["q"].documents == ["b", "a", "c"]


def test_a_run_from_elsewhere_whose_content_changed_is_refused(tmp_path):
    (tmp_path / "run").write_text("q Q0 a 1 1.0 t\n")
    run = external(tmp_path / "run")
    (tmp_path / "run").write_text("q Q0 a 1 2.0 t\n")
    with pytest.raises(DataError, match="as declared"):
        run.read()


def test_a_run_from_elsewhere_is_identified_by_its_content_not_its_path(tmp_path):
    for name in ("one", "two", "other"):
        (tmp_path / name).write_text(f"q Q0 {'b' if name == 'other' else 'a'} 1 1.0 t\n")
    one, two, other = (external(tmp_path / name).__xpm__.identifier.all.hex() for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_what_is_not_a_sha256_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="'abc' is not a sha256"):
        ExternalRun.__validate__(ExternalRun.C(path=tmp_path / "run", sha256="abc"))
