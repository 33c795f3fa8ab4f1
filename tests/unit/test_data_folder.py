"""A user's folder: what its parts are, what identifies each of them, and what is refused."""

import gzip
import json
import os
import shutil
import subprocess
import sys

import pytest
from fixtures.in_process import InProcess, identity

from xpm_ce.data.folder import Folder
from xpm_ce.data.table import COLLECTIONS, collection_class
from xpm_ce.errors import ConfigurationError, DataError


def write_folder(path):
    (path / "qrels").mkdir(parents=True)
    documents = [("d1", "Cats", "cats purr"), ("d2", "", "dogs bark"), ("d3", "Owls", "owls hoot")]
    lines = [json.dumps({"_id": i, "title": title, "text": text}) for i, title, text in documents]
    (path / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    queries = {"q1": "who purrs", "q2": "who barks", "q3": "who hoots", "q4": "nobody judged this"}
    lines = [json.dumps({"_id": i, "text": text}) for i, text in queries.items()]
    (path / "queries.jsonl").write_text("\n".join(lines) + "\n")
    (path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t2\nq2\td1\t0\n")
    (path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq3\td3\t1\n")
    return path


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "collection")


def prepared(folder):
    return Folder.C(path=folder).prepare(InProcess(folder.parent / "workspace"))


def identities(folder):
    parts = prepared(folder)
    configs = {"documents": parts.documents}
    for split in parts.splits():
        configs |= {f"{split} queries": parts.queries(split), f"{split} qrels": parts.qrels(split)}
    return {name: identity(config) for name, config in configs.items()}


def changed(folder, file, before, after):
    """Names of the parts whose identity changes with one replacement in one file."""
    old, path = identities(folder), folder / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    new = identities(folder)
    return {name for name in old if old[name] != new[name]}


def test_every_collection_of_the_table_has_its_name():
    assert {name: collection_class(name).NAME for name in COLLECTIONS} == {name: name for name in COLLECTIONS}


def test_the_parts_hold_what_the_files_say(folder):
    parts = prepared(folder)
    assert parts.splits() == ["test", "train"]
    assert [tuple(record) for record in parts.documents.instance().records()] == [
        ("d1", "Cats", "cats purr"), ("d2", "", "dogs bark"), ("d3", "Owls", "owls hoot"),
    ]  # fmt: skip
    assert parts.queries("train").instance().read() == {"q1": "who purrs", "q2": "who barks"}
    assert parts.qrels("train").instance().read() == {"q1": {"d1": 1}, "q2": {"d2": 2, "d1": 0}}
    assert parts.teacher("train") is None


def test_a_changed_test_grade_changes_the_test_judgements_only(folder):
    assert changed(folder, "qrels/test.tsv", "d3\t1", "d3\t2") == {"test qrels"}


def test_a_changed_test_query_changes_the_test_queries_only(folder):
    assert changed(folder, "queries.jsonl", "who hoots", "who hoots at night") == {"test queries"}


def test_a_new_training_judgement_of_a_known_query_changes_the_training_judgements_only(folder):
    assert changed(folder, "qrels/train.tsv", "q1\td1\t1", "q1\td1\t1\nq1\td3\t1") == {"train qrels"}


def test_a_query_that_is_judged_for_the_first_time_joins_the_queries_of_its_split(folder):
    assert changed(folder, "qrels/test.tsv", "q3\td3\t1", "q3\td3\t1\nq4\td3\t1") == {"test queries", "test qrels"}


def test_a_query_that_nobody_judged_changes_nothing(folder):
    assert changed(folder, "queries.jsonl", "nobody judged this", "still nobody") == set()


def test_a_changed_document_changes_the_documents_only(folder):
    assert changed(folder, "corpus.jsonl", "cats purr", "cats meow") == {"documents"}


def test_moving_the_folder_changes_nothing(folder, tmp_path):
    before = identities(folder)
    folder.rename(tmp_path / "elsewhere")
    assert identities(tmp_path / "elsewhere") == before


def test_packing_the_files_changes_nothing(folder):
    before = identities(folder)
    for name in ("corpus.jsonl", "queries.jsonl"):
        with gzip.open(folder / f"{name}.gz", "wb") as stream:
            stream.write((folder / name).read_bytes())
        (folder / name).unlink()
    assert identities(folder) == before
    assert len(list(prepared(folder).documents.instance().records())) == 3


def test_judgements_in_the_columns_of_trec_are_the_same_judgements(folder):
    before = identities(folder)
    (folder / "qrels" / "train.tsv").unlink()
    (folder / "qrels" / "train.txt").write_text("q1 0 d1 1\nq2 0 d2 2\nq2 0 d1 0\n")
    assert identities(folder) == before


def test_a_file_that_changes_after_planning_is_refused_by_the_job(folder):
    parts = prepared(folder)
    planned = [parts.documents, parts.queries("test"), parts.qrels("test")]
    for file in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        path = folder / file
        path.write_text(path.read_text().replace("hoots", "cries").replace("hoot", "cry").replace("d3\t1", "d3\t3"))
    for part, read in zip(planned, ("records", "read", "read"), strict=True):
        with pytest.raises(DataError, match="changed since it was planned"):
            list(getattr(part.instance(), read)())


def test_an_unknown_split_names_those_there_are(folder):
    with pytest.raises(ConfigurationError, match="Splits here: test, train") as error:
        prepared(folder).qrels("dev")
    assert error.value.exit_code == 2


def test_a_missing_folder_and_a_missing_file_are_configuration_errors(folder, tmp_path):
    with pytest.raises(ConfigurationError, match="no such folder"):
        prepared(tmp_path / "nowhere")
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(ConfigurationError, match="neither corpus"):
        _ = prepared(folder).documents


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("queries.jsonl", '{"_id": "q3", "text": "x"}\n{"_id": "q3", "text": "y"}\n', "jsonl:2: query q3 stands"),
        ("queries.jsonl", '{"_id": "q3", "text": \n', "queries.jsonl:1: malformed JSON"),
        ("queries.jsonl", '\n{"text": "x"}\n', "queries.jsonl:2: the record has no _id"),
        ("queries.jsonl", '{"_id": "q 3", "text": "x"}\n', "queries.jsonl:1: the _id 'q 3' is empty"),
        ("queries.jsonl", '{"_id": "q3"}\n', "queries.jsonl:1: the record has no text"),
        ("queries.jsonl", '["q3", "x"]\n', "queries.jsonl:1: .* is not a JSON object"),
        ("queries.jsonl", '{"_id": "other", "text": "x"}\n', "test.tsv:2: query q3 is judged, but has no text"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq3\td3\n", "test.tsv:2: malformed judgement"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq3\td3\thigh\n", "test.tsv:2: malformed judgement"),
        ("qrels/test.tsv", "qid\tdid\tgrade\nq3\td3\t1\n", "test.tsv:1: malformed judgement"),
        ("qrels/test.tsv", "q3\td3\t1\nq3\td3\t2\n", "test.tsv:2: document d3 has the grades 1 and 2"),
    ],
)  # fmt: skip
def test_a_fault_that_planning_sees_is_a_configuration_error_with_file_and_line(folder, file, text, fault):
    (folder / file).write_text(text)
    with pytest.raises(ConfigurationError, match=fault):
        prepared(folder).queries("test")


def test_a_malformed_document_is_found_by_the_job_with_file_and_line(folder):
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "fine"}\n{"_id": "d2"}\n')
    with pytest.raises(DataError, match=r"corpus.jsonl:2: the record has no text"):
        list(prepared(folder).documents.instance().records())


def test_a_second_plan_reads_no_file_again(folder):
    submit = InProcess(folder.parent / "workspace")
    first = identity(Folder.C(path=folder).prepare(submit).queries("test"))
    status = (folder / "queries.jsonl").stat()
    content = bytearray((folder / "queries.jsonl").read_bytes())
    content[content.index(b"hoots")] ^= 1  # another text behind the same size and time
    with open(folder / "queries.jsonl", "r+b") as stream:
        stream.write(content)
    os.utime(folder / "queries.jsonl", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identity(Folder.C(path=folder).prepare(submit).queries("test")) == first
    shutil.rmtree(folder)
    with pytest.raises(ConfigurationError, match="no such folder"):
        Folder.C(path=folder).prepare(submit)


def test_importing_the_collections_loads_neither_numpy_nor_the_other_libraries():
    modules = [path.rpartition(".")[0] for path in COLLECTIONS.values()]
    modules += ["xpm_ce.data.mining", "xpm_ce.data.distilled", "xpm_ce.data.split", "xpm_ce.data.store"]
    modules += ["xpm_ce.firststage.bm25_index", "xpm_ce.firststage.retrieve"]
    code = f"import sys, {', '.join(modules)}\n"
    code += "print([m for m in ('numpy', 'torch', 'ir_datasets', 'datamaestro', 'impact_index') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
