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
from studies import TINY, kinds_to_run, plan_of

import xpm_ce
from xpm_ce.errors import ConfigurationError, DataError, UnknownKeyError

pytestmark = [pytest.mark.pipeline, pytest.mark.usefixtures("one_thread")]

QUERY = "paris things"
DOCUMENTS = ["a text about paris", "a longer text about many other things than that", "green", "red things are red"]


@pytest.fixture(scope="module")
def checkpoint(tiny_workspace) -> Path:
    """A learner's checkpoint whose weights are large enough for scores to differ."""
    return sorted(tiny_workspace.glob("jobs/xpm_ce.learn.learner/*/checkpoint"))[0]


def test_the_versions_are_those_that_the_contract_was_made_with():
    assert metadata.version("experimaestro-ir").startswith("1.5.")
    assert metadata.version("datamaestro-ir").startswith("0.5.")


# -- xpmir inside our jobs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scorer", ["hf_cross_scorer", "st_cross_scorer"])
def test_a_scorer_of_xpmir_re_ranks_through_our_job_as_our_own_does(scorer, checkpoint, workspace_copy, run_command):
    limits = "max_length: 32, max_query_length: 16"
    models = f"models=[{{name: theirs, path: {checkpoint}, xpmir: {scorer}, {limits}}}]"
    assert kinds_to_run(plan_of(workspace_copy, models)) == {"rerank": 1, "measure": 1}
    process = run_command("xpm-ce", "run", TINY, "--workdir", workspace_copy, "-c", models)
    assert process.returncode == 0, process.stdout + process.stderr
    plan = plan_of(workspace_copy, models)
    (theirs,) = [job for job in plan.jobs if job.kind == "rerank" and job.coordinates.get("model") == "theirs"]
    (ours,) = [
        job for job in plan.jobs if job.kind == "rerank" and checkpoint.parent.name in job.depends_on
    ]  # fmt: skip
    np.testing.assert_allclose(
        np.load(theirs.folder / "scores.npy"), np.load(ours.folder / "scores.npy"), rtol=1e-5, atol=1e-5
    )
    counts = json.loads((theirs.folder / "counts.json").read_text())
    assert counts["pairs_scored"] == json.loads((ours.folder / "counts.json").read_text())["pairs_scored"]
    assert counts["pairs_truncated"] is None


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
