"""What a study needs from elsewhere: told from files alone, blocked where it cannot be had, checked and obtained."""

import gzip
import hashlib
import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest
from studies import plan_of, study
from test_data_sources import (
    put_ms_marco_for_ir_datasets,
    put_scifact_for_datamaestro,
    put_scifact_for_ir_datasets,
    read_parts,
    write_files,
)

from xpm_ce.data import ir_datasets_files
from xpm_ce.data.ir_datasets_files import _FAMILIES as FAMILIES
from xpm_ce.data.ir_datasets_files import DOCUMENTS, QRELS, QUERIES, standing, told_by_checksums
from xpm_ce.data.need import Standing
from xpm_ce.data.registered import IR_DATASETS
from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.planner import State, Why
from xpm_ce.graph.rendering import rendered_plan
from xpm_ce.graph.study import Study
from xpm_ce.network import unreachable
from xpm_ce.protocols.registry import GROUPS, JUDGED_SETS, protocols
from xpm_ce.workspace import Workspace

ROOT = Path(__file__).parents[2]
PARTS = (DOCUMENTS, QUERIES, QRELS)


@pytest.fixture(autouse=True)
def nothing_here(tmp_path, monkeypatch):
    """No data on this disk, and a network that nobody denies."""
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "irds"))
    monkeypatch.setenv("DATAMAESTRO_DIR", str(tmp_path / "datamaestro"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("XPM_CE_OFFLINE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


def standings(identifier, split):
    """Of documents, queries and judgements."""
    return [standing(identifier, DOCUMENTS), standing(split, QUERIES), standing(split, QRELS)]


# -- files ----------------------------------------------------------------------------------------------------


def test_every_set_of_the_registry_can_be_looked_for():
    for row in JUDGED_SETS.values():
        split = IR_DATASETS[row.ir_datasets.collection].splits[row.ir_datasets.split].id
        assert standings(row.ir_datasets.collection, split) == [Standing.ABSENT] * 3
    assert standing("cranfield", DOCUMENTS) is Standing.UNKNOWN


def test_files_are_looked_for_where_ir_datasets_says_that_it_downloads_them():
    import ir_datasets

    downloads = json.loads((Path(ir_datasets.__file__).parent / "etc" / "downloads.json").read_text())
    compared = 0
    for collection in IR_DATASETS.values():
        family = collection.id.partition("/")[0]
        paths = {f"{family}/{entry['cache_path']}" for entry in downloads[family].values() if entry.get("cache_path")}
        for split in collection.splits.values():
            for part, identifier in zip(PARTS, (collection.id, split.id, split.id), strict=True):
                files = {file for files in FAMILIES[family](identifier.partition("/")[2], part) for file in files}
                folders = {path.partition("/**")[0] for path in files}
                known = {path for path in paths if path in folders}
                extracted = family == "msmarco-passage" and part == QUERIES  # the library keeps what it extracts
                assert known or extracted, (identifier, part, files)
                compared += 1
    assert compared == 3 * 77


def test_an_archive_and_files_put_by_hand_are_found_as_the_library_finds_them(tmp_path):
    put_scifact_for_ir_datasets(tmp_path)
    put_ms_marco_for_ir_datasets(tmp_path)
    here = [Standing.HERE] * 3
    assert standings("beir/scifact", "beir/scifact/test") == here
    assert standings("msmarco-passage", "msmarco-passage/dev/small") == here
    assert standings("msmarco-passage", "msmarco-passage/trec-dl-2019/judged")[1:] == [Standing.ABSENT] * 2
    # what the library has extracted and stored is enough once the archive is gone
    assert len(read_parts(tmp_path, "ir_datasets", "test", id="beir/scifact", documents_count=3)["documents"]) == 3
    (tmp_path / "irds" / "beir" / "scifact" / "source.zip").unlink()
    assert standings("beir/scifact", "beir/scifact/test") == here
    assert len(read_parts(tmp_path, "ir_datasets", "test", id="beir/scifact", documents_count=3)["documents"]) == 3


def test_what_is_found_of_lotte_and_of_the_second_ms_marco_is_what_the_library_reads(tmp_path):
    write_files(tmp_path / "irds" / "lotte/lotte_extracted/lotte/writing/test", {
        "collection.tsv": "0\tone\n1\ttwo\n", "questions.search.tsv": "7\twhat\n",
        "qas.search.jsonl": json.dumps({"qid": 7, "query": "what", "answer_pids": [1]}) + "\n",
    })  # fmt: skip
    assert standings("lotte/writing/test", "lotte/writing/test/search") == [Standing.HERE] * 3
    read = read_parts(tmp_path, "ir_datasets", "search", id="lotte/writing/test", documents_count=2)
    assert (len(read["documents"]), read["queries"], read["qrels"]) == (2, {"7": "what"}, {"7": {"1": 1}})
    write_files(tmp_path / "irds" / "msmarco-passage-v2/trec-dl-2021", {
        "queries.tsv": "7\twhat\n8\tnot judged\n", "qrels": "7 0 msmarco_passage_00_0 2\n",
    })  # fmt: skip
    split = "msmarco-passage-v2/trec-dl-2021/judged"
    assert standings("msmarco-passage-v2", split) == [Standing.ABSENT, Standing.HERE, Standing.HERE]
    read = read_parts(tmp_path, "ir_datasets", "trec-dl-2021/judged", id="msmarco-passage-v2", documents_count=2)
    assert (read["queries"], read["qrels"]) == ({"7": "what"}, {"7": {"msmarco_passage_00_0": 2}})


def test_an_empty_folder_of_robust04_is_not_its_collection(tmp_path):
    corpus = tmp_path / "irds" / "disks45" / "corpus"
    corpus.mkdir(parents=True)
    split = "disks45/nocr/trec-robust-2004"
    assert standings("disks45/nocr", split) == [Standing.ABSENT] * 3
    for name in ("FBIS/FB396001", "FR94/01/FR940104.0", "FT/FT911/FT911_1", "LATIMES/LA010189"):
        assert standing("disks45/nocr", DOCUMENTS) is Standing.ABSENT
        write_files(corpus / "NEWS_data", {name: "<DOC>"})
    topic = "<top>\n\n<num> Number: 301\n<title> a title\n\n<desc> Description:\nmore\n\n<narr> Narrative:\nmuch\n\n"
    topic += "</top>\n"
    (tmp_path / "irds" / "disks45" / "04.testset.gz").write_bytes(gzip.compress(topic.encode()))
    write_files(tmp_path / "irds" / "disks45", {"qrels.robust2004.txt": "301 0 FBIS3-1 1\n"})
    assert standings("disks45/nocr", split) == [Standing.HERE] * 3
    read = read_parts(tmp_path, "ir_datasets", "trec-robust-2004", id="disks45/nocr", documents_count=1)
    assert read["queries"] == {"301": "a title"}  # the protocol's query is the title
    assert read["qrels"] == {"301": {"FBIS3-1": 1}}


# -- plans ----------------------------------------------------------------------------------------------------


def evaluating(tmp_path, *names, **keys):
    model = {"name": "m", "backbone": {"type": "hub", "id": "a/b", "revision": "d" * 40}, "max_length": 64}
    file = tmp_path / "study.yaml"
    sections = {"id": "s", "evaluation": {"protocols": list(names)}, "models": [model], **keys}
    file.write_text(json.dumps(sections))
    return prepare(Configuration(Study.load(file)), Workspace(tmp_path / "ws")).plan


def causes(plan):
    return {
        value
        for job in plan.jobs
        if job.state is State.BLOCKED and job.reason.why is not Why.UPSTREAM_BLOCKED
        for value in job.reason.values
    }


def test_what_can_be_downloaded_is_counted_and_blocks_nothing(tmp_path):
    plan = evaluating(tmp_path, "scifact@bm25-100")
    assert not causes(plan)
    assert [(need.name, need.kind) for need in plan.not_on_disk] == [
        ("beir/scifact", "documents"), ("beir/scifact/test", "queries"), ("beir/scifact/test", "judgements"),
        ("a/b", "weights"),
    ]  # fmt: skip
    assert "Not on this disk: 3 data sets, training files or weights (beir/scifact" in rendered_plan(plan)
    assert plan.as_json()["not_on_disk"][0]["expected"] == "5,183 documents"


def test_robust04_is_blocked_whatever_the_network_and_says_where_to_put_it(tmp_path):
    plan = evaluating(tmp_path, "robust04@bm25-1000")
    (cause,) = causes(plan)
    assert "disks45/nocr (documents) is not on this disk, and nothing downloads it." in cause
    assert f"FBIS, FR94, FT and LATIMES below {tmp_path}/irds/disks45/corpus" in cause


@pytest.mark.parametrize("switch", ["XPM_CE_OFFLINE", "HF_HUB_OFFLINE", "offline: true"])
def test_without_a_network_what_is_not_here_is_blocked_with_its_remedy(tmp_path, monkeypatch, switch):
    keys = {"offline": True} if switch.startswith("offline") else {}
    if not keys:
        monkeypatch.setenv(switch, "1")
    plan = evaluating(tmp_path, "scifact@bm25-100", **keys)
    (cause,) = causes(plan)
    said = f"{tmp_path}/study.yaml:1 says offline: true" if keys else f"{switch} is set"
    assert cause == (
        f"beir/scifact (documents) is not on this disk, and {said}. Where there is a network: "
        "`xpm-ce data prepare FILE`."
    )
    assert {job.state for job in plan.jobs} == {State.BLOCKED}


def test_what_is_here_is_not_blocked_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("XPM_CE_OFFLINE", "1")
    put_scifact_for_ir_datasets(tmp_path)
    plan = evaluating(tmp_path, "scifact@bm25-100")
    assert {cause.partition(" is not")[0] for cause in causes(plan)} == {"a/b"}
    done = {job.kind for job in plan.jobs if job.state is State.RUN}
    assert done == {"store", "index", "retrieve", "measure"}


def test_offline_a_training_file_that_datamaestro_has_not_is_blocked(tmp_path, monkeypatch):
    monkeypatch.setenv("XPM_CE_OFFLINE", "1")
    training_set, sampler = {"type": "triples", "published": "msmarco-triples-2"}, {"type": "triples", "queries": 2}
    grid = {"n": {"a": {"learner.loss": "bce", "learner.sampler": sampler}}}
    plan = plan_of(tmp_path / "ws", file=study(tmp_path, training_set=training_set, grid=grid))
    (cause,) = causes(plan)
    assert cause.startswith("msmarco-triples-2 (training file) is not on this disk, and XPM_CE_OFFLINE is set.")


def test_the_study_of_22_protocols_plans_offline_with_every_set_blocked_in_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("XPM_CE_OFFLINE", "1")
    started = time.process_time()
    file = ROOT / "experiments" / "ce_distillation" / "as_published.yaml"
    plan = prepare(Configuration(Study.load(file)), Workspace(tmp_path / "ws")).plan
    seconds = time.process_time() - started
    assert seconds < 30  # about 7 on one core of 2020
    collections = {JUDGED_SETS[name].ir_datasets.collection for name in GROUPS["ce22"]}
    named = {cause.partition(" (")[0] for cause in causes(plan)}
    assert len(collections) == 20
    assert collections <= named
    remedies = ("xpm-ce data prepare", "licensed by NIST", "Add revision:", "hf download")
    assert all(any(remedy in cause for remedy in remedies) for cause in causes(plan))
    missing = {need.name for need in plan.not_on_disk}
    splits = {JUDGED_SETS[name].ir_datasets for name in GROUPS["ce22"]}
    assert {IR_DATASETS[place.collection].splits[place.split].id for place in splits} <= missing
    re_ranked = {job.coordinates["set"] for job in plan.jobs if job.kind == "rerank"}
    assert re_ranked == {each.id for each in protocols("ce22@bm25-1000")}
    assert len([job for job in plan.jobs if job.kind == "rerank"]) == 162 * 22
    assert {job.state for job in plan.jobs} == {State.BLOCKED}


# -- the command ----------------------------------------------------------------------------------------------


def data(run_command, home, verb, *arguments, **environment):
    """`xpm-ce data` in a process that can reach no network."""
    places = {
        "IR_DATASETS_HOME": str(home / "irds"), "IR_DATASETS_TMP": str(home / "tmp"), "IR_DATASETS_DL_TRIES": "1",
        "DATAMAESTRO_DIR": str(home / "datamaestro"), "HF_HUB_CACHE": str(home / "hub"),
        "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "XPM_CE_WORKDIR": str(home / "ws"),
    }  # fmt: skip
    return run_command("xpm-ce", "data", verb, *arguments, **{**places, **environment})


def miniature(tmp_path, kind="ir_datasets", **keys):
    """A study on the miniature of SciFact, whose documents are counted."""
    identifier = {"ir_datasets": "beir/scifact", "datamaestro": "org.beir.scifact"}[kind]
    file = tmp_path / "miniature.yaml"
    sections = {
        "id": "miniature", "collection": {"type": kind, "id": identifier, **keys}, "first_stage": {"type": "bm25"},
        "evaluation": {"sets": [{"split": "test"}], "depths": [10], "measures": ["nDCG@10"]},
    }  # fmt: skip
    file.write_text(json.dumps(sections))
    return file


def test_check_reads_and_counts_what_is_here(tmp_path, run_command):
    put_scifact_for_ir_datasets(tmp_path)
    process = data(run_command, tmp_path, "check", miniature(tmp_path, documents_count=3))
    assert process.returncode == 0, process.stdout + process.stderr
    told = "; source.zip has another checksum than on record"
    assert process.stdout.splitlines() == [
        f"right     beir/scifact (documents): 3 documents{told}",
        f"right     beir/scifact/test (queries): 2 queries{told}",
        f"right     beir/scifact/test (judgements): judgements, of a number that nobody gave{told}", "3 right",
    ]  # fmt: skip


def test_a_file_with_the_checksum_on_record_is_told(tmp_path, monkeypatch):
    write_files(tmp_path / "irds" / "disks45", {"qrels.robust2004.txt": "301 0 FBIS3-1 1\n"})
    split = "disks45/nocr/trec-robust-2004"
    assert told_by_checksums(split, QRELS) == "qrels.robust2004.txt has another checksum than on record"
    md5 = hashlib.md5(b"301 0 FBIS3-1 1\n").hexdigest()
    own = {"disks45": {"robust04-qrels": {"cache_path": "qrels.robust2004.txt", "expected_md5": md5}}}
    monkeypatch.setattr(ir_datasets_files, "_downloads", lambda: own)
    assert told_by_checksums(split, QRELS) == "qrels.robust2004.txt has the checksum on record"
    assert told_by_checksums(split, QUERIES) == told_by_checksums("cranfield", QRELS) == ""


def test_check_tells_a_copy_that_is_not_the_registered_one(tmp_path, run_command):
    put_scifact_for_ir_datasets(tmp_path)
    process = data(run_command, tmp_path, "check", miniature(tmp_path), "--json")
    assert process.returncode == 1
    found = json.loads(process.stdout)
    assert found["counts"] == {"wrong": 3}
    assert (found["data"][0]["expected"], found["data"][0]["found"]) == (
        "5,183 documents", "there are 3 documents, not 5183",
    )  # fmt: skip
    quick = data(run_command, tmp_path, "check", miniature(tmp_path), "--quick")
    assert quick.returncode == 0
    assert "3 here" in quick.stdout


def test_check_without_a_file_looks_for_every_protocol(tmp_path, run_command):
    process = data(run_command, tmp_path, "check", "--json")
    assert process.returncode == 1
    found = json.loads(process.stdout)["data"]
    assert {each["verdict"] for each in found} == {"missing"}
    robust = next(each for each in found if each["name"] == "disks45/nocr")
    assert "licensed by NIST" in robust["remedy"]
    assert {
        IR_DATASETS[row.ir_datasets.collection].splits[row.ir_datasets.split].id for row in JUDGED_SETS.values()
    } <= {each["name"] for each in found}


def test_prepare_leaves_what_is_here_and_obtains_what_its_library_has(tmp_path, run_command):
    put_scifact_for_ir_datasets(tmp_path)
    process = data(run_command, tmp_path, "prepare", miniature(tmp_path, documents_count=3))
    assert (process.returncode, process.stdout.splitlines()[-1]) == (0, "3 here"), process.stderr
    put_scifact_for_datamaestro(tmp_path)
    process = data(run_command, tmp_path, "prepare", miniature(tmp_path, "datamaestro", documents_count=3))
    assert process.returncode == 0, process.stdout + process.stderr
    assert "obtained  org.beir.scifact.collection (documents): 3 documents" in process.stdout
    assert process.stdout.splitlines()[-1] == "3 obtained"
    file = miniature(tmp_path, "datamaestro", documents_count=3)
    process = data(run_command, tmp_path, "check", file)
    assert (process.returncode, process.stdout.splitlines()[-1]) == (0, "3 right"), process.stderr
    process = data(run_command, tmp_path, "check", file, "--quick")
    assert (process.returncode, process.stdout.splitlines()[-1]) == (0, "3 unknown")
    process = data(run_command, tmp_path, "check", miniature(tmp_path, "datamaestro"))
    assert (process.returncode, process.stdout.splitlines()[-1]) == (1, "3 missing")
    assert "there are 3 documents, not 5183" in process.stdout


def test_prepare_goes_on_after_what_cannot_be_had_and_ends_with_1(tmp_path, run_command):
    process = data(run_command, tmp_path, "prepare", miniature(tmp_path))
    assert process.returncode == 1, process.stderr
    assert process.stdout.count("missing   ") == 3
    assert "run `ir_datasets export beir/scifact docs > /dev/null`" in process.stdout
    assert process.stdout.splitlines()[-1] == "3 missing"


def test_prepare_without_a_network_and_a_wrong_file_are_errors_of_the_configuration(tmp_path, run_command):
    process = data(run_command, tmp_path, "prepare", miniature(tmp_path), XPM_CE_OFFLINE="1")
    assert process.returncode == 2
    assert "beir/scifact (documents) is to be downloaded, but XPM_CE_OFFLINE is set" in process.stderr
    file = tmp_path / "wrong.yaml"
    file.write_text("id: wrong\nevaluation: {protocols: [scifakt@bm25-100]}\n")
    process = data(run_command, tmp_path, "prepare", file)
    assert process.returncode == 2
    assert f"{file}:2: unknown set of a protocol: scifakt\n  Did you mean scifact?" in process.stderr


def test_a_study_that_says_offline_can_still_be_prepared(tmp_path, run_command):
    put_scifact_for_datamaestro(tmp_path)
    file = miniature(tmp_path, "datamaestro", documents_count=3)
    file.write_text(json.dumps({**json.loads(file.read_text()), "offline": True}))
    process = data(run_command, tmp_path, "prepare", file)
    assert process.returncode == 0, process.stdout + process.stderr
    assert os.path.isdir(tmp_path / "datamaestro")
    shutil.rmtree(tmp_path / "datamaestro")
    assert data(run_command, tmp_path, "check", file).returncode == 1


def test_weights_are_looked_for_in_the_hub_s_cache_and_read_from_it(tmp_path, run_command):
    backbone = {"type": "hub", "id": "a/b", "revision": "d" * 40}
    file = tmp_path / "study.yaml"
    sections = {
        "id": "s", "collection": {"type": "generated"}, "first_stage": {"type": "bm25"},
        "evaluation": {"sets": [{"split": "test"}], "depths": [10], "measures": ["nDCG@10"]},
        "models": [{"name": "m", "backbone": backbone, "max_length": 64}],
    }  # fmt: skip
    file.write_text(json.dumps(sections))
    folder = tmp_path / "hub" / "models--a--b" / "snapshots" / ("d" * 40)
    write_files(folder, {"config.json": "{}"})
    process = data(run_command, tmp_path, "check", file)
    assert (process.returncode, process.stdout.splitlines()[-1]) == (1, "1 missing")  # a download was interrupted
    write_files(folder, {"model.safetensors": "weights", "tokenizer.json": "{}"})
    process = data(run_command, tmp_path, "check", file)
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stdout.splitlines() == [f"right     a/b (weights): {folder}", "1 right"]


def test_while_data_is_checked_no_host_is_found():
    with socket.create_server(("localhost", 0)) as server:
        host = ("localhost", server.getsockname()[1])
        with unreachable(), pytest.raises(OSError, match="nothing is downloaded here"):
            socket.create_connection(host)
        socket.create_connection(host).close()


def test_an_interrupted_copy_is_wrong_and_is_not_downloaded_again(tmp_path, run_command):
    write_files(tmp_path / "irds" / "beir" / "scifact", {"docs.pklz4/bin": "cut off"})
    process = data(run_command, tmp_path, "check", miniature(tmp_path, documents_count=3), "--json")
    found = json.loads(process.stdout)
    assert process.returncode == 1
    assert found["counts"] == {"wrong": 1, "missing": 2}
    assert "cannot read beir/scifact" in found["data"][0]["found"]
