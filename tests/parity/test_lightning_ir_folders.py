"""Folders that lightning-ir wrote score here as there; they are written by hand, in its format.

The format and the scores were compared once with lightning-ir 0.0.6 itself.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, ElectraConfig, ElectraModel, ElectraTokenizer

from xpm_ce.errors import DataError
from xpm_ce.scorers.backbones import PublishedBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.scorers.loading import LoadedModel, load
from xpm_ce.scorers.published import PUBLISHED
from xpm_ce.scorers.weights import load_folder

pytestmark = pytest.mark.usefixtures("one_thread")

ROW, COMMIT = PUBLISHED["monoelectra-base"], "e" * 40
PAIRS = [("who is in Paris", "the capital of France"), ("moon", "armstrong walked"), ("moon", "paris " * 9)]


@pytest.fixture(params=[True, False], ids=["bias", "no bias"])
def written(request, tmp_path):
    """A repository of the hub's cache in lightning-ir's format, with the scores of its encoder and linear layer."""
    folder = tmp_path / f"models--{ROW.id.replace('/', '--')}" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    words = ["paris is the capital of france", "who walked on the moon? armstrong"]
    tokenizer = ElectraTokenizer().train_new_from_iterator(words * 4, 120, show_progress=False)
    tokenizer.save_pretrained(folder)
    amend(folder / "tokenizer_config.json", tokenizer_class="CrossEncoderElectraTokenizerFast", query_length=32)
    config = ElectraConfig(
        vocab_size=len(tokenizer), hidden_size=16, embedding_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=16, initializer_range=0.3, pad_token_id=tokenizer.pad_token_id, max_position_embeddings=64,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, linear = ElectraModel(config).eval(), torch.nn.Linear(16, 1, bias=request.param)
        linear.weight.data *= 10
    keys = {"architectures": ["CrossEncoderElectraModel"], "model_type": "cross-encoder", "query_length": 32}
    keys |= {"doc_length": 256, "pooling_strategy": "first"}
    (folder / "config.json").write_text(json.dumps({**config.to_dict(), **keys}))
    weights = {**encoder.state_dict(), **{f"linear.{name}": value for name, value in linear.state_dict().items()}}
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "model.safetensors")
    expected = []
    with torch.no_grad():
        for pair in PAIRS:
            inputs = tokenizer(*pair, return_tensors="pt")
            assert set(inputs["token_type_ids"].unique().tolist()) == {0, 1}
            expected.append(linear(encoder(**inputs).last_hidden_state[:, 0]).item())
    return folder, np.array(expected, np.float32)


def amend(file, **keys):
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


def test_the_score_is_that_of_the_linear_layer(written):
    folder, expected = written
    assert expected.std() > 0.1
    np.testing.assert_allclose(load(folder).predict(PAIRS), expected, rtol=1e-5, atol=1e-5)


def test_the_published_row_gives_a_scorer_with_a_head_that_is_not_new_and_saves_a_folder_for_any_library(
    written, tmp_path, monkeypatch
):
    folder, expected = written
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder.parents[2]))
    backbone = PublishedBackbone.C(name="monoelectra-base", revision=COMMIT)
    scorer = CrossEncoder.C(backbone=backbone, max_length=64).prepare(None, store=None, queries=None)
    built = scorer.instance().build()
    assert built.head_is_new is ROW.new_head is False
    built.save(tmp_path / "saved")
    np.testing.assert_allclose(LoadedModel(built).predict(PAIRS), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(load(tmp_path / "saved").predict(PAIRS), expected, rtol=1e-5, atol=1e-5)
    model, report = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not report["missing_keys"]
    assert model.config.classifier_dropout == 0


@pytest.mark.parametrize("written", [True], indirect=True)
@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"pooling_strategy": "mean"}, "pooling mean and scoring rank cannot be read"),
        ({"scoring_strategy": "mono"}, "pooling first and scoring mono cannot be read"),
        ({"architectures": ["CrossEncoderBertModel"]}, "CrossEncoderBertModel"),
        ({"num_hidden_layers": 3}, "are not those of an ELECTRA encoder"),
    ],
)
def test_what_is_something_else_is_refused(written, keys, what):
    folder, _ = written
    amend(folder / "config.json", **keys)
    with pytest.raises(DataError, match=what):
        load_folder(folder, head_seed=0)
