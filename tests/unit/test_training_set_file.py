"""What a training set's folder holds, and what cannot be one."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_ce.data import training_set
from xpm_ce.data.supervision import LABELS, TEACHER_ORDER, TEACHER_SCORES, UNJUDGED, carried
from xpm_ce.data.training_set import StoredGroups, TrainingGroup, TrainingSet, write_training_set
from xpm_ce.errors import ConfigurationError, DataError

nan = float("nan")
GROUPS = [
    TrainingGroup("q1", [7, 3, 5], [1, -1, 0], [0.5, nan, -2.25]),
    TrainingGroup("q 2", np.array([9]), labels=None, teacher_scores=None),
    TrainingGroup("é3", (0, 2**40), teacher_scores=np.array([3, 4])),
]


def write(folder, groups=GROUPS, supervision=(LABELS, TEACHER_SCORES), counts=None):
    write_training_set(folder, iter(groups), supervision=supervision, counts=counts or {})
    return StoredGroups(folder)


def test_what_was_written_is_read(tmp_path):
    groups = write(tmp_path / "set", counts={"without positive": 4})
    assert (len(groups), groups.rows, groups.counts) == (3, 6, {"without positive": 4})
    assert [groups.query_id(i) for i in range(3)] == ["q1", "q 2", "é3"]
    assert [groups.documents(i).tolist() for i in range(3)] == [[7, 3, 5], [9], [0, 2**40]]
    assert [groups.labels(i).tolist() for i in range(3)] == [[1, -1, 0], [UNJUDGED], [UNJUDGED] * 2]
    np.testing.assert_equal(groups.teacher_scores(0), np.array([0.5, nan, -2.25], np.float32))
    assert np.isnan(groups.teacher_scores(1)).all()
    assert groups.supervision == {LABELS, TEACHER_SCORES, TEACHER_ORDER}


def test_the_folder_holds_the_documented_files_and_types(tmp_path):
    write(tmp_path / "set", counts={"queries left out": 2})
    assert sorted(file.name for file in (tmp_path / "set").iterdir()) == [
        "documents.npy",
        "labels.npy",
        "offsets.npy",
        "query_ids.txt",
        "teacher_scores.npy",
        "training_set.json",
    ]
    assert (tmp_path / "set" / "query_ids.txt").read_bytes() == "q1\nq 2\né3\n".encode()
    assert json.loads((tmp_path / "set" / "training_set.json").read_text()) == {
        "schema": 1,
        "queries": 3,
        "rows": 6,
        "supervision": ["labels", "teacher scores"],
        "counts": {"queries left out": 2},
    }
    arrays = {name: np.load(tmp_path / "set" / f"{name}.npy") for name in ("offsets", *training_set.COLUMNS)}
    assert arrays["offsets"].tolist() == [0, 3, 4, 6]
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "offsets": "int64",
        "documents": "int64",
        "labels": "int16",
        "teacher_scores": "float32",
    }


def test_reading_maps_files_instead_of_loading_them(tmp_path):
    documents = write(tmp_path / "set").documents(0)
    assert not documents.flags.owndata
    assert not documents.flags.writeable


def test_an_array_grows_past_the_length_that_its_header_was_written_for(tmp_path):
    rows = 100_000
    groups = write(tmp_path / "set", [TrainingGroup("q", np.arange(rows), np.arange(rows) % 3)], [LABELS])
    assert groups.documents(0).tolist() == list(range(rows))
    assert np.load(tmp_path / "set" / "labels.npy").sum() == rows - 1


def test_equal_groups_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        ([], "no query has a training group"),
        ([TrainingGroup("q", [], [])], "query 'q' has no document"),
        ([TrainingGroup("q", [4, 5, 4], [1, 0, 0])], "query 'q' has a document twice"),
        ([TrainingGroup("q", [1], [1]), TrainingGroup("q", [2], [1])], "query 'q' has two groups"),
        ([TrainingGroup("a\nb", [1], [1])], "has an empty id, or one with a line break"),
        ([TrainingGroup("", [1], [1])], "has an empty id, or one with a line break"),
        ([TrainingGroup("q", [1, 2], [1])], "has 2 documents, 1 labels, 2 teacher scores"),
        ([TrainingGroup("q", [-1], [1])], "no row of a document store"),
        ([TrainingGroup("q", [1.0], [1])], "no row of a document store"),
        ([TrainingGroup("q", [1], [-2])], "neither a grade nor -1"),
        ([TrainingGroup("q", [1], [40_000])], "neither a grade nor -1"),
        ([TrainingGroup("q", [1], [0.5])], "neither a grade nor -1"),
        ([TrainingGroup("q", [1], [nan])], "neither a grade nor -1"),
        ([TrainingGroup("q", [1], [1], [float("inf")])], "float32 cannot hold"),
        ([TrainingGroup("q", [1], [1], [1e39])], "float32 cannot hold"),
        ([TrainingGroup("q", [1], teacher_scores=[2.0])], "is to carry labels, but no document has any"),
    ],
)
def test_what_cannot_be_a_training_set_is_refused_and_leaves_nothing(tmp_path, groups, what):
    with pytest.raises(DataError, match=what):
        write(tmp_path / "set", groups, [LABELS])
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_without_a_score_is_refused(tmp_path):
    with pytest.raises(DataError, match="is to carry teacher order, but no document has any"):
        write(tmp_path / "set", [TrainingGroup("q", [1], [1])], [LABELS, TEACHER_ORDER])


def test_a_builder_that_fails_half_way_leaves_the_finished_training_set_alone(tmp_path):
    write(tmp_path / "set")

    def interrupted():
        yield GROUPS[1]
        raise RuntimeError("the machine stops")

    with pytest.raises(RuntimeError, match="the machine stops"):
        write_training_set(tmp_path / "set", interrupted(), supervision=[LABELS], counts={})
    assert len(StoredGroups(tmp_path / "set")) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["set"]


def test_writing_keeps_no_row_in_memory(tmp_path):
    # 30 MB of rows; the peak of a process that writes them is compared with one that writes a hundredth
    script = """
import sys, numpy as np
from pathlib import Path
from xpm_ce.data.training_set import TrainingGroup, write_training_set
groups = (TrainingGroup(str(i), np.arange(1000), np.ones(1000, int)) for i in range(int(sys.argv[2])))
write_training_set(Path(sys.argv[1]), groups, supervision=["labels"], counts={})
# the peak of this program; ru_maxrss would include that of the one that started it
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
"""

    def peak_kilobytes(queries):
        arguments = [sys.executable, "-c", script, str(tmp_path / str(queries)), str(queries)]
        return int(subprocess.run(arguments, capture_output=True, text=True, check=True).stdout)

    assert peak_kilobytes(2100) - peak_kilobytes(21) < 10_000


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "labels.npy").unlink(),
        lambda folder: (folder / "training_set.json").unlink(),
        lambda folder: (folder / "training_set.json").write_text("{}"),
        lambda folder: np.save(folder / "labels.npy", np.zeros(5, np.int16)),
        lambda folder: np.save(folder / "labels.npy", np.zeros(6, np.int64)),
        lambda folder: np.save(folder / "offsets.npy", np.array([0, 3, 6])),
        lambda folder: (folder / "documents.npy").write_bytes(b"half a file"),
    ],
)
def test_a_damaged_folder_is_named_with_its_remedy(tmp_path, damage):
    write(tmp_path / "set")
    damage(tmp_path / "set")
    with pytest.raises(DataError, match=r"not a complete training set") as caught:
        StoredGroups(tmp_path / "set")
    assert caught.value.where == str(tmp_path / "set")
    assert "run again" in caught.value.remedy


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), at_once=st.integers(1, 40))
def test_counting_in_blocks_counts_each_query(tmp_path_factory, sizes, at_once):
    folder = tmp_path_factory.mktemp("counts") / "set"
    labels = np.random.default_rng(sum(sizes)).integers(-1, 2, sum(sizes))
    parts = np.split(labels, np.cumsum(sizes)[:-1])
    written = [TrainingGroup(str(i), np.arange(len(part)), part, part) for i, part in enumerate(parts)]
    groups = write(folder, written, [TEACHER_SCORES])
    before = training_set.ROWS_AT_ONCE
    training_set.ROWS_AT_ONCE = at_once
    try:
        counted = groups.count(lambda labels, scores: (labels == 1) & (scores == 1))
    finally:
        training_set.ROWS_AT_ONCE = before
    assert counted.tolist() == [int((part == 1).sum()) for part in parts]


def test_complete_documents_have_a_teacher_score_only_where_there_is_a_teacher(tmp_path):
    scores = np.array([1, nan], np.float32)
    assert write(tmp_path / "with").complete(scores).tolist() == [True, False]
    assert write(tmp_path / "without", supervision=[LABELS]).complete(scores).tolist() == [True, True]


# -- the configuration --------------------------------------------------------------------------------------


def test_opening_checks_that_the_folder_carries_what_was_planned(tmp_path):
    write(tmp_path / "set", supervision=[LABELS])
    planned = TrainingSet.C(path=tmp_path / "set", supervision=[LABELS])
    assert len(planned.instance().open()) == 3
    with pytest.raises(DataError, match=r"carries \['labels'\], not \['labels', 'teacher order'\] as declared"):
        TrainingSet.C(path=tmp_path / "set", supervision=[LABELS, TEACHER_ORDER]).instance().open()


def test_where_a_training_set_lies_is_not_part_of_what_it_is(tmp_path):
    def identity(path, supervision):
        return TrainingSet.C(path=path, supervision=supervision).__identifier__().all.hex()

    assert identity(tmp_path / "a", [LABELS]) == identity(tmp_path / "b", [LABELS])
    assert identity(tmp_path / "a", [LABELS]) != identity(tmp_path / "a", [TEACHER_ORDER])


@pytest.mark.parametrize(
    ("supervision", "what"),
    [
        ([TEACHER_ORDER, LABELS], "is not sorted, or names a kind twice"),
        ([LABELS, LABELS], "is not sorted, or names a kind twice"),
        (["label"], "unknown kind of supervision: label"),
    ],
)
def test_supervision_has_one_spelling(tmp_path, supervision, what):
    with pytest.raises(ConfigurationError, match=what):
        TrainingSet.__validate__(TrainingSet.C(path=tmp_path, supervision=supervision))
    TrainingSet.__validate__(TrainingSet.C(path=tmp_path, supervision=[LABELS, TEACHER_ORDER]))


def test_teacher_scores_imply_a_teacher_order():
    assert carried([TEACHER_SCORES]) == {TEACHER_SCORES, TEACHER_ORDER}
    assert carried([TEACHER_ORDER, LABELS]) == {TEACHER_ORDER, LABELS}


def test_naming_a_training_set_loads_no_numpy():
    lines = "import sys, xpm_ce.data.training_set; print({'numpy', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
