"""Neighbours: xpmir's scorers inside our jobs, our scorer inside xpmir's retrievers, collections of two libraries."""

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from studies import TINY, kinds_to_run, plan_of

import xpm_ce
from xpm_ce.errors import ConfigurationError, DataError, UnknownKeyError

pytestmark = [pytest.mark.pipeline, pytest.mark.usefixtures("one_thread")]

QUERY = "paris things"
DOCUMENTS = ["a text about paris", "a longer text about many other things than that", "green", "red things are red"]


@pytest.fixture(scope="module")
def checkpoint(tiny_workspace, tmp_path_factory) -> Path:
    """A learner's checkpoint with larger weights: a few steps leave scores that hardly differ."""
    trained = sorted(tiny_workspace.glob("jobs/xpm_ce.learn.learner/*/checkpoint"))[0]
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("model") / "larger")
    weights = load_file(folder / "model.safetensors")
    larger = {name: 12 * values if values.ndim == 2 else values for name, values in weights.items()}
    save_file(larger, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_the_versions_are_those_that_the_contract_was_made_with():
    assert metadata.version("experimaestro-ir").startswith("1.5.")
    assert metadata.version("datamaestro-ir").startswith("0.5.")


# -- xpmir inside our jobs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scorer", ["hf_cross_scorer", "st_cross_scorer"])
def test_a_scorer_of_xpmir_re_ranks_through_our_job_as_our_own_does(scorer, checkpoint, workspace_copy, run_command):
    limits = "max_length: 32, max_query_length: 16"
    ours = f"{{name: ours, path: {checkpoint}, {limits}}}"
    theirs = f"{{name: theirs, path: {checkpoint}, xpmir: {scorer}, {limits}}}"
    models = f"models=[{ours}, {theirs}]"
    wanted = kinds_to_run(plan_of(workspace_copy, models))
    assert wanted == {"tokens": 1, "rerank": 2, "measure": 2}  # theirs reads texts
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace_copy, "-c", models)
    assert process.returncode == 0, process.stdout + process.stderr
    jobs = [job for job in plan_of(workspace_copy, models).jobs if job.kind == "rerank"]
    folders = {job.coordinates["model"]: job.folder for job in jobs if "model" in job.coordinates}
    scores = {name: np.load(folder / "scores.npy") for name, folder in folders.items()}
    assert scores["ours"].std() > 0.01
    np.testing.assert_allclose(scores["theirs"], scores["ours"], rtol=1e-5, atol=1e-5)
    counts = {name: json.loads((folder / "counts.json").read_text()) for name, folder in folders.items()}
    assert counts["theirs"]["pairs_scored"] == counts["ours"]["pairs_scored"] > 100
    assert (counts["theirs"]["pairs_truncated"], counts["ours"]["pairs_truncated"]) == (None, 0)


def test_what_xpmir_cannot_do_is_refused_while_planning(checkpoint, tiny_workspace):
    for given, error, message in [
        (f"path: {checkpoint}, xpmir: hf_cross_scorerr", UnknownKeyError, "Did you mean hf_cross_scorer"),
        ("backbone: {type: published, name: bert-base}, xpmir: hf_cross_scorer", ConfigurationError, "Give path"),
    ]:
        with pytest.raises(error, match=message):
            plan_of(tiny_workspace, f"models=[{{name: theirs, {given}, max_length: 32}}]")


def test_a_folder_that_changed_is_another_model(checkpoint, tiny_workspace, tmp_path):
    from xpm_ce.interop.xpmir_model import XpmirModel

    model = XpmirModel.C(scorer="hf_cross_scorer", path=checkpoint, sha256="0" * 64, max_length=32)
    with pytest.raises(DataError, match="changed since the study was planned"):
        model.instance().open()
    with pytest.raises(ConfigurationError, match="in fp32 here"):
        model.instance().open(precision="bf16")


def test_planning_a_study_that_names_xpmir_loads_it_not(checkpoint, tiny_workspace, tmp_path):
    models = f"models=[{{name: theirs, path: {checkpoint}, xpmir: hf_cross_scorer, max_length: 32}}]"
    code = (
        "import sys\nfrom xpm_ce.cli.main import main\n"
        f"sys.argv = ['xpm-ce', 'plan', {str(TINY)!r}, '--workdir', {str(tmp_path)!r}, '-c', {models!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules} & {'xpmir', 'xpm_torch', 'torch'})"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stdout.rpartition("LOADED")[2].split() == []


# -- our scorer inside xpmir ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_stage():
    """A first stage of xpmir that gives the same documents to every query, with their texts."""
    from xpmir.letor.records import SimpleTextItem
    from xpmir.rankers import Retriever, ScoredDocument

    class Fixed(Retriever):
        """Always the same documents."""

        __xpmid__ = "tests.fixed_retriever"

        def retrieve(self, record):
            documents = [{"id": f"d{place}", "text_item": SimpleTextItem(text)} for place, text in enumerate(DOCUMENTS)]
            return [ScoredDocument(document, -float(place)) for place, document in enumerate(documents)]

    return Fixed.C()


def ranked(found):
    return [(each.document["id"], each.score) for each in found]


@pytest.fixture
def inside_a_job(tmp_path, monkeypatch):
    """xpmir reports the progress of a retriever to the job that it runs in."""
    from experimaestro import notifications, taskglobals

    monkeypatch.setattr(taskglobals.Env.instance(), "taskpath", tmp_path)
    monkeypatch.setattr(notifications.Reporter, "INSTANCE", None)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "0")  # xpmir makes as many workers


@pytest.mark.parametrize("batch_size", [0, 2])
def test_our_scorer_ranks_inside_a_retriever_of_xpmir(batch_size, checkpoint, first_stage, inside_a_job):
    from xpmir.letor.records import SimpleTextItem

    from xpm_ce.interop.xpmir_scorer import xpmir_scorer

    model = xpm_ce.load(checkpoint)
    expected = [(f"d{each.index}", each.score) for each in model.rank(QUERY, DOCUMENTS)]
    assert expected[0][1] - expected[-1][1] > 0.01
    retriever = xpmir_scorer(checkpoint).getRetriever(first_stage, batch_size=batch_size, top_k=3).instance()
    retriever.initialize()
    record = {"id": "q", "text_item": SimpleTextItem(QUERY)}
    for found in (retriever.retrieve(record), retriever.retrieve_all({"q": record})["q"]):
        assert [name for name, _ in ranked(found)] == [name for name, _ in expected][:3]
        np.testing.assert_allclose([score for _, score in ranked(found)], [s for _, s in expected][:3], rtol=1e-5)
    assert not torch.is_inference_mode_enabled()


def test_our_scorer_is_identified_by_the_content_of_its_folder(checkpoint, tmp_path):
    from xpm_ce.interop.xpmir_scorer import xpmir_scorer

    moved = shutil.copytree(checkpoint, tmp_path / "moved")
    one, other = xpmir_scorer(checkpoint), xpmir_scorer(moved)
    assert one.__identifier__().all == other.__identifier__().all
    assert xpmir_scorer(moved, max_length=16).__identifier__().all != one.__identifier__().all
    (moved / "model.safetensors").unlink()
    with pytest.raises(DataError, match="lacks weights"):
        xpmir_scorer(moved)
