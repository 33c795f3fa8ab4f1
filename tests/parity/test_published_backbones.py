"""Every row of the published encoders, against the real classes of transformers at a small width.

`republished.py` writes each row's repository.
"""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
import torch
import transformers
from republished import COMMIT, TEXTS, UNSEEN, shape
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoTokenizer

from xpm_ce.errors import ConfigurationError, DataError
from xpm_ce.scorers.backbones import HubBackbone, PublishedBackbone
from xpm_ce.scorers.loading import LoadedModel
from xpm_ce.scorers.published import PUBLISHED
from xpm_ce.scorers.weights import load_folder
from xpm_ce.tokens.casing import lowers_case
from xpm_ce.tokens.pairs import special_tokens

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_weight_of_the_encoder_is_the_published_one_and_in_fp32(published):
    loaded = published.scorer.model.base_model.state_dict()
    for name, weights in published.encoder.items():
        if name.startswith("pooler") and name not in loaded:
            continue  # of a class whose head has none
        assert torch.equal(loaded[name], weights.float())
        assert loaded[name].dtype == torch.float32
    assert loaded.keys() - published.encoder.keys() <= {name.partition(".")[2] for name in published.scorer.new_weights}


def filler(tokenizer, tokens):
    """A text of exactly so many tokens."""
    for unit in (" a", "!", "?"):
        for count in (tokens, tokens - 1):
            if len(tokenizer(unit * count, add_special_tokens=False)["input_ids"]) == tokens:
                return unit * count
    raise AssertionError(f"no text of {tokens} tokens")


def test_ids_and_token_types_are_those_of_the_tokenizer_itself(published):
    tokenizer = published.reference
    for query, document in [*UNSEEN, *itertools.pairwise(TEXTS[:7])]:
        expected = tokenizer(query, document)
        encoded = published.scorer.encoder.encode([query], [document])
        assert encoded.ids.tolist() == expected["input_ids"]
        if published.row.token_types > 1:
            assert encoded.token_types.tolist() == expected["token_type_ids"]
        else:
            assert encoded.token_types is None


def test_the_longest_legal_pair_is_scored_as_transformers_does_and_one_more_token_is_cut_and_counted(published):
    row, scorer, tokenizer = published.row, published.scorer, published.reference
    query, room = filler(tokenizer, 2), row.usable_positions - row.specials - 2
    fits, longer = filler(tokenizer, room), filler(tokenizer, room + 1)
    assert len(tokenizer(query, fits)["input_ids"]) == row.usable_positions
    encoded = scorer.encoder.encode([query, query], [fits, longer])
    assert encoded.lengths.tolist() == [row.usable_positions] * 2
    assert encoded.document_truncated.tolist() == [False, True]
    expected = published.scores([(query, fits)])
    np.testing.assert_allclose(LoadedModel(scorer).predict([(query, fits)]), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ConfigurationError, match=f"the backbone has {row.usable_positions} usable positions"):
        type(scorer.encoder)(
            scorer.tokenizer,
            dataclasses.replace(scorer.limits, max_length=row.usable_positions + 1),
            usable_positions=row.row.usable_positions(scorer.model.config),
            token_types=False,
        )


def test_scores_are_those_of_transformers(published):
    pairs = [*UNSEEN, *itertools.pairwise(TEXTS[:7])]
    expected = published.scores(pairs)
    assert expected.std() > 0.01
    np.testing.assert_allclose(LoadedModel(published.scorer).predict(pairs), expected, rtol=1e-5, atol=1e-5)


def test_the_row_says_what_its_tokenizer_and_its_model_do(published):
    row, scorer = published.row, published.scorer
    assert isinstance(scorer.tokenizer, getattr(transformers, row.tokenizer))
    assert special_tokens(scorer.tokenizer) == row.specials
    assert lowers_case(scorer.tokenizer) == row.lower_case
    assert scorer.reads_token_types == (row.token_types > 1)
    assert row.row.usable_positions(scorer.model.config) == row.usable_positions
    assert all(name.startswith(row.row.head) for name in scorer.new_weights)
    assert ("mean of all" in row.head) == (getattr(scorer.model.config, "classifier_pooling", "cls") == "mean")


@pytest.mark.parametrize("published", ["minilm-l12"], indirect=True)
def test_the_files_of_minilm_do_not_decide_about_capitals(published):
    as_published = AutoTokenizer.from_pretrained(published.folder)
    assert as_published.tokenize("Paris") != published.scorer.tokenizer.tokenize("Paris") == ["paris"]
    saved = AutoTokenizer.from_pretrained(published.folder.parent / "saved")
    assert saved.tokenize("Paris") == ["paris"]


@pytest.mark.parametrize("published", ["ettin-17m"], indirect=True)
def test_an_ettin_folder_whose_embeddings_are_only_in_the_decoder_is_refused(published, tmp_path):
    folder = shutil.copytree(published.folder, tmp_path / "converted")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    del weights["model.embeddings.tok_embeddings.weight"]
    (folder / "pytorch_model.bin").unlink()
    save_file({key: value.clone() for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        DataError, match=r"outside of the head are missing, the first is model\.embeddings\.tok_embeddings"
    ):
        load_folder(folder, head_seed=0)


# -- rows without files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_architecture_of_a_row_has_as_many_parameters_as_its_authors_count(name):
    row = PUBLISHED[name]
    sizes = {
        "hidden_size": row.hidden_size, "num_layers": row.layers, "num_heads": row.heads,
        "intermediate_size": row.intermediate_size,
    }  # fmt: skip
    with torch.device("meta"):
        model = AutoModel.from_config(AutoConfig.for_model(row.family, **shape(row, **sizes)))
    counted = sum(weights.numel() for weights in model.parameters()) / 1e6
    assert counted == pytest.approx(row.millions, rel=0.03)


def prepared(name, **keys):
    return PublishedBackbone.C(name=name, **keys).prepare(None)


def test_a_short_name_is_the_hub_s_repository_at_the_commit_on_record_and_has_its_identity():
    row = PUBLISHED["bert-base"]
    by_name, by_id = prepared("bert-base"), HubBackbone.C(id=row.id, revision=row.revision)
    assert by_name.__xpm__.identifier.all == by_id.__xpm__.identifier.all
    assert prepared("bert-base", revision=COMMIT).revision == COMMIT
    assert prepared("minilm-l12").lower_case is True
    assert by_name.lower_case is None


def test_a_row_without_a_commit_says_what_to_add():
    backbone = prepared("electra-base")
    assert isinstance(backbone, PublishedBackbone)
    assert "Add revision: to this backbone" in backbone.obstacle
    assert prepared("electra-base", revision=COMMIT).obstacle is None
    with pytest.raises(ConfigurationError, match="is not a commit"):
        PublishedBackbone.__validate__(PublishedBackbone.C(name="bert-base", revision="main"))
    with pytest.raises(ConfigurationError, match="Did you mean bert-base"):
        PublishedBackbone.__validate__(PublishedBackbone.C(name="bert-basee"))


def test_rows_are_complete_and_distinct():
    assert len({row.id for row in PUBLISHED.values()}) == len(PUBLISHED) == 10
    for row in PUBLISHED.values():
        assert row.citation.startswith("@")
        assert row.citation.count("{") == row.citation.count("}")
        assert row.licence in ("MIT", "Apache-2.0")
        assert row.revision is None or len(row.revision) == 40
