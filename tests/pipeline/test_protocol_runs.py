"""Protocols through the real scheduler, on the real SciFact as ir_datasets keeps it."""

import json
import os
import zipfile
from pathlib import Path

import pytest

PUBLISHED = 0.6789
"""nDCG@10 of Lucene's BM25 on SciFact, k1 = 0.9 and b = 0.4, title and text in one field (Pyserini, BEIR flat)"""

pytestmark = pytest.mark.pipeline


@pytest.fixture
def scifact(tmp_path) -> dict[str, str]:
    """The environment in which ir_datasets has SciFact in its archive, and no network is to be used."""
    if "XPM_CE_TEST_DATA" not in os.environ:
        pytest.skip("XPM_CE_TEST_DATA is not set: it names the folder that holds scifact/ in the BEIR layout")
    source, folder = Path(os.environ["XPM_CE_TEST_DATA"]) / "scifact", tmp_path / "irds" / "beir" / "scifact"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "source.zip", "w") as archive:
        for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "qrels/train.tsv"):
            archive.write(source / name, f"scifact/{name}")
    return {"IR_DATASETS_HOME": str(tmp_path / "irds"), "IR_DATASETS_TMP": str(tmp_path / "tmp"), "HF_HUB_OFFLINE": "1"}


def test_a_protocol_measures_the_published_first_stage(scifact, run_command, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("id: s\nevaluation: {protocols: [scifact@bm25-100, scifact@bm25-1000]}\n")
    where = ("--workdir", tmp_path / "ws")
    checked = run_command("xpm-ce", "data", "check", file, *where, **scifact)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "5,183 documents" in checked.stdout
    run = run_command("xpm-ce", "run", file, *where, **scifact)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(list((tmp_path / "ws").glob("jobs/xpm_ce.firststage.retrieve/*"))) == 1
    ceilings = {}
    for summary in (tmp_path / "ws").glob("jobs/xpm_ce.evaluate.measure/*/summary.json"):
        means = {(each["order"], each["depth"]): each["mean"] for each in json.loads(summary.read_text())["means"]
                 if each["measure"] == "nDCG@10"}  # fmt: skip
        (depth,) = {depth for _, depth in means}
        assert means["given", depth] == pytest.approx(PUBLISHED, abs=0.005)
        ceilings[depth] = means["ceiling", depth]
    assert ceilings[100] < ceilings[1000] < 1
