"""Collections of ir_datasets and datamaestro on miniatures in their true layouts, each library in its own process."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fixtures.in_process import InProcess, identity

from xpm_ce.data.datamaestro_source import Datamaestro
from xpm_ce.data.ir_datasets_source import IrDatasets
from xpm_ce.data.registered import DATAMAESTRO, IR_DATASETS
from xpm_ce.errors import ConfigurationError, DataError

READ_PARTS = """
import json, sys
from pathlib import Path
from fixtures.in_process import InProcess
from xpm_ce.data.table import collection_class
from xpm_ce.errors import DataError
kind, split, *fields = sys.argv[1:]
fields = {key: int(value) if value.isdigit() else value for key, value in (field.split("=") for field in fields)}
parts = collection_class(kind).C(**fields).prepare(InProcess(Path("unused")))
found = {}
for name, read in {
    "documents": lambda: [list(record) for record in parts.documents.instance().records()],
    "queries": lambda: parts.queries(split).instance().read(),
    "qrels": lambda: parts.qrels(split).instance().read(),
}.items():
    try:
        found[name] = read()
    except DataError as error:
        found[name] = str(error)
print(json.dumps(found))
"""

CORPUS = [
    {"_id": f"d{number}", "title": f"Title {number}", "text": f"text {number}", "metadata": {}} for number in range(3)
]
QUERIES = [{"_id": f"q{number}", "text": f"query {number}", "metadata": {}} for number in range(3)]
QRELS = {"test": "q0\td1\t1\nq1\td2\t2\n", "train": "q2\td0\t1\n"}
HEADER = "query-id\tcorpus-id\tscore\n"
BEIR = {
    "corpus.jsonl": "".join(json.dumps(each) + "\n" for each in CORPUS),
    "queries.jsonl": "".join(json.dumps(each) + "\n" for each in QUERIES),
    "qrels/test.tsv": HEADER + QRELS["test"],
    "qrels/train.tsv": HEADER + QRELS["train"],
}
DOCUMENTS = [[f"d{number}", f"Title {number}", f"text {number}"] for number in range(3)]


def read_parts(home, kind, split, **fields):
    """Parts of a collection as a process with its own libraries' homes reads them; an error is its message."""
    environment = {
        **os.environ,
        "HOME": str(home), "IR_DATASETS_HOME": str(home / "irds"), "IR_DATASETS_TMP": str(home / "tmp"),
        "DATAMAESTRO_DIR": str(home / "datamaestro"), "IR_DATASETS_DL_TRIES": "1",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        # no test talks to the network: what is not there must be refused at once
        "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9",
    }  # fmt: skip
    arguments = [f"{key}={value}" for key, value in fields.items()]
    done = subprocess.run(
        [sys.executable, "-c", READ_PARTS, kind, split, *arguments],
        env=environment, capture_output=True, text=True, timeout=120, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def write_files(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def put_scifact_for_ir_datasets(home):
    folder = home / "irds" / "beir" / "scifact"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "source.zip", "w") as archive:
        for name, text in BEIR.items():
            archive.writestr(f"scifact/{name}", text)


def put_ms_marco_for_ir_datasets(home, version="v2"):
    files = {
        "collection.tsv": "0\tpassage zero\n1\tpassage one\n",
        "dev/small/queries.tsv": "7\twhat is zero\n",
        "dev/small/qrels": "7 0 0 1\n",
        "irds_version.txt": version,
    }
    write_files(home / "irds" / "msmarco-passage", files)


def test_an_archive_that_ir_datasets_has_cached_is_read(tmp_path):
    put_scifact_for_ir_datasets(tmp_path)
    parts = read_parts(tmp_path, "ir_datasets", "test", id="beir/scifact", documents_count=3)
    assert parts == {
        "documents": DOCUMENTS,
        "queries": {"q0": "query 0", "q1": "query 1"},
        "qrels": {"q0": {"d1": 1}, "q1": {"d2": 2}},
    }


def test_files_put_by_hand_for_ir_datasets_are_read(tmp_path):
    put_ms_marco_for_ir_datasets(tmp_path)
    parts = read_parts(tmp_path, "ir_datasets", "dev/small", id="msmarco-passage", documents_count=2)
    assert parts == {
        "documents": [["0", "", "passage zero"], ["1", "", "passage one"]],
        "queries": {"7": "what is zero"},
        "qrels": {"7": {"0": 1}},
    }


def test_a_copy_with_other_counts_than_the_registered_ones_is_refused(tmp_path):
    put_scifact_for_ir_datasets(tmp_path)
    parts = read_parts(tmp_path, "ir_datasets", "test", id="beir/scifact")
    assert "there are 3 documents, not 5183" in parts["documents"]
    assert "there are 2 queries, not 300" in parts["queries"]
    assert "there are 2 judgements, not 339" in parts["qrels"]


@pytest.mark.parametrize("version", ["v2\n", ""])
def test_a_version_file_that_would_delete_the_collection_is_refused_and_nothing_is_deleted(tmp_path, version):
    put_ms_marco_for_ir_datasets(tmp_path, version)
    parts = read_parts(tmp_path, "ir_datasets", "dev/small", id="msmarco-passage", documents_count=2)
    assert "ir_datasets would delete the collection" in parts["documents"]
    assert "printf v2 > " in parts["documents"]
    assert (tmp_path / "irds" / "msmarco-passage" / "collection.tsv").exists()


def test_missing_data_of_ir_datasets_tell_how_to_obtain_them(tmp_path):
    parts = read_parts(tmp_path, "ir_datasets", "test", id="beir/nfcorpus")
    assert "cannot read beir/nfcorpus (" in parts["documents"]
    assert "run `ir_datasets export beir/nfcorpus docs > /dev/null`" in parts["documents"]
    assert "run `ir_datasets export beir/nfcorpus/test qrels > /dev/null`" in parts["qrels"]


def test_an_unregistered_id_is_read_with_the_count_that_was_given(tmp_path):
    put_ms_marco_for_ir_datasets(tmp_path)
    (tmp_path / "irds" / "vaswani").mkdir()
    found = read_parts(tmp_path, "ir_datasets", ".", id="no-such-id", documents_count=2)
    assert "cannot read no-such-id (KeyError" in found["queries"]


def put_scifact_for_datamaestro(home):
    write_files(home / "datamaestro/data/ir/org/beir/scifact/collection/scifact", BEIR)


def test_files_put_by_hand_for_datamaestro_are_read_also_after_it_has_deleted_them(tmp_path):
    put_scifact_for_datamaestro(tmp_path)
    for split, queries in (("test", ["q0", "q1"]), ("train", ["q2"])):
        parts = read_parts(tmp_path, "datamaestro", split, id="org.beir.scifact", documents_count=3)
        assert parts["documents"] == DOCUMENTS
        assert list(parts["queries"]) == queries
        assert set(parts["qrels"]) == set(queries)
        assert not list(tmp_path.glob("datamaestro/data/ir/org/beir/scifact/collection/scifact/corpus.jsonl"))


def test_one_collection_is_the_same_by_either_library_s_id(tmp_path):
    put_scifact_for_ir_datasets(tmp_path)
    put_scifact_for_datamaestro(tmp_path)
    for split in ("test", "train"):
        one = read_parts(tmp_path, "ir_datasets", split, id="beir/scifact", documents_count=3)
        other = read_parts(tmp_path, "datamaestro", split, id="org.beir.scifact", documents_count=3)
        assert one == other
        assert len(one["queries"]) == len(one["qrels"]) == (2 if split == "test" else 1)


def test_datamaestro_states_the_counts_of_ir_datasets_where_it_states_any():
    """It does for MS MARCO; all others it counts when it has them."""
    code = (
        "from datamaestro_ir.config.com.microsoft.msmarco import passage, passagev2\n"
        "stated = [value for module in (passage, passagev2) for each in [module, *vars(module).values()]"
        " if isinstance(value := vars(each).get('DOC_COUNT') if hasattr(each, '__dict__') else None, int)]\n"
        "print(*stated)"
    )
    stated = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    known = {str(IR_DATASETS[name].documents) for name in ("msmarco-passage", "msmarco-passage-v2")}
    assert set(stated) == known
    assert {str(DATAMAESTRO[f"com.microsoft.msmarco.{name}"].documents) for name in ("passage", "passagev2")} == known


def test_documents_of_datamaestro_are_counted_though_it_believes_a_constant(tmp_path):
    files = {
        "collection.tsv": "0\tpassage zero\n1\tpassage one\n",
        "queries.dev.small.tsv": "7\twhat is zero\n",
        "qrels.dev.small.tsv": "7\t0\t0\t1\n",
        "queries.eval.small.tsv": "8\tno judgement\n",
    }
    folder = tmp_path / "datamaestro/data/ir/com/microsoft/msmarco/passage/documents/collectionandqueries"
    write_files(folder, files)
    parts = read_parts(tmp_path, "datamaestro", "dev.small", id="com.microsoft.msmarco.passage")
    assert "there are 2 documents, not 8841823" in parts["documents"]
    parts = read_parts(tmp_path, "datamaestro", "dev.small", id="com.microsoft.msmarco.passage", documents_count=2)
    assert parts == {
        "documents": [["0", "", "passage zero"], ["1", "", "passage one"]],
        "queries": {"7": "what is zero"},
        "qrels": {"7": {"0": 1}},
    }


def test_missing_data_of_datamaestro_tell_how_to_obtain_them(tmp_path):
    parts = read_parts(tmp_path, "datamaestro", "test", id="org.beir.nfcorpus")
    assert "run `datamaestro prepare org.beir.nfcorpus.collection`" in parts["documents"]
    assert "run `datamaestro prepare org.beir.nfcorpus.test`" in parts["queries"]


def prepared(kind, tmp_path, **fields):
    return kind.C(**fields).prepare(InProcess(tmp_path))


def test_a_registered_collection_is_identified_by_id_and_counts_without_its_data(tmp_path):
    parts = prepared(IrDatasets, tmp_path, id="msmarco-passage")
    assert (parts.documents.id, parts.documents.count) == ("msmarco-passage", 8_841_823)
    queries = parts.queries("trec-dl-2019/judged")
    assert (queries.id, queries.count) == ("msmarco-passage/trec-dl-2019/judged", 43)
    alone = prepared(IrDatasets, tmp_path, id="beir/arguana").qrels("test")
    assert (alone.id, alone.count) == ("beir/arguana", 1406)
    part = prepared(IrDatasets, tmp_path, id="msmarco-passage", documents_count=1000)
    assert part.queries("dev/small").count is None
    assert identity(part.documents) != identity(parts.documents)


def test_an_unknown_id_needs_a_count_and_hears_of_a_similar_one(tmp_path):
    with pytest.raises(ConfigurationError, match="Did you mean beir/scifact"):
        prepared(IrDatasets, tmp_path, id="beir/scifakt")
    parts = prepared(IrDatasets, tmp_path, id="cranfield", documents_count=1400)
    assert parts.queries(".").id == "cranfield"
    assert parts.queries("some/part").id == "cranfield/some/part"
    assert parts.splits() == []


def test_an_unknown_split_of_a_registered_id_names_those_there_are(tmp_path):
    with pytest.raises(ConfigurationError, match="Splits here: test, train"):
        prepared(Datamaestro, tmp_path, id="org.beir.scifact").queries("dev")


def test_the_libraries_have_every_registered_id_and_ir_datasets_its_counts():
    import ir_datasets

    metadata = json.loads((Path(ir_datasets.__file__).parent / "etc" / "metadata.json").read_text())

    def count(identifier, part):
        entry = metadata[identifier][part]
        return count(entry["_ref"], part) if "_ref" in entry else entry["count"]

    compared = 0
    for row in IR_DATASETS.values():
        assert count(row.id, "docs") == row.documents
        for split in row.splits.values():
            assert (count(split.id, "queries"), count(split.id, "qrels")) == split[1:]
            compared += 1
    assert compared == 77
    search = [sys.executable, "-c", "from datamaestro.__main__ import main; main()", "search", "."]
    known = set(subprocess.run(search, capture_output=True, text=True, check=True).stdout.split())
    ids = {row.id for row in DATAMAESTRO.values()} | {s.id for row in DATAMAESTRO.values() for s in row.splits.values()}
    assert len(ids) > 60
    assert not ids - known


def test_what_is_not_a_fault_of_the_data_is_not_hidden(tmp_path):
    from xpm_ce.data.source import reading

    with pytest.raises(DataError, match="inner"), reading("x", "remedy"):
        raise DataError("inner")
    with pytest.raises(KeyboardInterrupt), reading("x", "remedy"):
        raise KeyboardInterrupt
