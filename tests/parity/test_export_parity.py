"""Exports of the nine backbones score the same in transformers, in sentence-transformers and in rerankers.

The models are small and random, of the real classes, with tokenizers of the true layout.
"""

import contextlib
import io
import itertools
import json
import re
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from republished import TEXTS, UNSEEN
from safetensors.torch import load_file
from scipy import stats
from sentence_transformers import CrossEncoder

from xpm_ce.errors import DataError
from xpm_ce.publish import parity
from xpm_ce.publish.export import Naming, export
from xpm_ce.publish.source import Source
from xpm_ce.scorers.loading import load

pytestmark = pytest.mark.usefixtures("one_thread")

LIMITS = {"max_length": 64, "max_query_length": 24}
PAIRS = [(query, f"{document} {other}") for query, _ in UNSEEN for document, other in itertools.pairwise(TEXTS[:7])]


@pytest.fixture(scope="module")
def exported(published, tmp_path_factory):
    """(what was exported, the folder of the export) of one backbone."""
    model = tmp_path_factory.mktemp("model") / "trained"
    published.scorer.save(model)
    settings = json.loads((model / "xpm_ce.json").read_text())
    (model / "xpm_ce.json").write_text(json.dumps({**settings, **LIMITS}))
    folder = tmp_path_factory.mktemp("exported") / "mine"
    yield export(Source(model), folder, Naming("mine"))
    shutil.rmtree(folder.parent)
    shutil.rmtree(model.parent)


def test_scores_are_equal_in_every_library(exported):
    ours = load(exported.folder).predict(PAIRS)
    assert ours.std() > 0.01
    for library in (parity.TRANSFORMERS, parity.SENTENCE_TRANSFORMERS, parity.RERANKERS):
        np.testing.assert_allclose(parity.SCORES[library](exported.folder, PAIRS), ours, rtol=1e-5, atol=1e-5)


def test_the_report_is_that_of_two_hundred_pairs_in_the_same_order(exported):
    report = exported.report
    assert report.pairs == 200
    assert report.drawn == 200
    assert report.score_range[1] - report.score_range[0] > 0.01
    assert [each.library for each in report.libraries] == ["transformers", "sentence-transformers", "rerankers"]
    for each in report.libraries:
        assert each.max_difference is not None
        assert each.max_difference <= 1e-5
        assert each.kendall_tau == pytest.approx(1, abs=2e-4)  # one of 19 900 orders may be that of rounding
    written = json.loads((exported.folder / "parity.json").read_text())
    assert written["libraries"][1]["max_difference"] == report.libraries[1].max_difference
    card = (exported.folder / "README.md").read_text()
    assert f"| {report.libraries[1].version} | {report.libraries[1].max_difference:.1e} |" in card


def test_sentence_transformers_finds_what_it_writes_itself(exported, tmp_path):
    model = CrossEncoder(str(exported.folder), device="cpu")
    assert isinstance(model.activation_fn, torch.nn.Identity)
    assert model.max_length == LIMITS["max_length"]
    model.save_pretrained(str(tmp_path))
    ours, theirs = ({file.name for file in folder.iterdir()} for folder in (exported.folder, tmp_path))
    assert ours - theirs == {"xpm_ce.json", "parity.json"}
    assert not theirs - ours
    for name in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        one, other = (json.loads((folder / name).read_text()) for folder in (exported.folder, tmp_path))
        versions = [each.pop("__version__", {}) if isinstance(each, dict) else {} for each in (one, other)]
        assert one == other
        assert versions[0].keys() == versions[1].keys()


def test_the_scores_of_the_card_are_those_that_its_snippets_print(exported):
    card = (exported.folder / "README.md").read_text()
    snippets = [code for code in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if "print(" in code]
    assert len(snippets) == 2
    for code in snippets:
        promised = json.loads(re.findall(r"# (\[.*\])", code)[-1])
        assert max(promised) - min(promised) > 0.001
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code.replace('"mine"', repr(str(exported.folder))), {})
        assert json.loads(printed.getvalue()) == pytest.approx(promised, abs=1.5e-4)  # the fourth decimal is rounded


def test_weights_are_fp32_in_safetensors_and_those_that_were_given(exported, published):
    weights = load_file(exported.folder / "model.safetensors")
    assert {each.dtype for each in weights.values()} == {torch.float32}
    own = published.scorer.model.state_dict()
    assert all(torch.equal(weights[name], own[name]) for name in weights)


def test_the_card_is_one_that_the_hub_reads(exported):
    card = ModelCard.load(exported.folder / "README.md")
    assert card.data.library_name == "sentence-transformers"
    assert card.data.pipeline_tag == "text-ranking"
    assert "xpm-ce" in card.data.tags


@pytest.mark.parametrize("published", ["bert-base"], indirect=True)
def test_scores_that_differ_are_not_exported(published, tmp_path):
    published.scorer.save(tmp_path / "saved", description=LIMITS)
    scorer = load(tmp_path / "saved").scorer
    with torch.no_grad():
        scorer.model.classifier.bias += 0.01
    with pytest.raises(DataError, match=r"transformers .* scores this model otherwise: up to 0\.01 apart"):
        parity.compare(tmp_path / "saved", scorer, evaluated=PAIRS, drawn=[], count=20)


@pytest.mark.parametrize("published", ["bert-base"], indirect=True)
def test_pairs_that_are_read_otherwise_elsewhere_are_left_out_and_counted(published, tmp_path):
    published.scorer.save(tmp_path / "saved")
    limits = {"schema": 1, "max_length": 64, "max_query_length": 5}
    (tmp_path / "saved" / "xpm_ce.json").write_text(json.dumps(limits))
    scorer = load(tmp_path / "saved").scorer
    scorer._save_tokenizer(tmp_path / "saved")
    long = ("a query of many more words than five", "a document")
    report = parity.compare(tmp_path / "saved", scorer, evaluated=[long, ("a b", "c d")], drawn=[("e", "f")], count=2)
    assert (report.pairs, report.drawn, report.left_out) == (2, 1, 1)


def test_kendalls_tau_is_scipys():
    draw = np.random.default_rng(3)
    for levels in (4, 1000):
        one, other = draw.integers(levels, size=60), draw.integers(levels, size=60)
        assert parity.kendall_tau(one, other) == pytest.approx(stats.kendalltau(one, other).statistic, abs=1e-12)
    assert parity.kendall_tau(np.zeros(3), np.arange(3)) == 1


def test_a_library_that_is_not_installed_is_said_to_be_so(tmp_path):
    assert parity.compared("no-such-library", tmp_path, PAIRS, np.zeros(len(PAIRS))) == parity.LibraryParity(
        "no-such-library", None
    )
