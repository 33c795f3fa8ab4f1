"""The ledger of a training says what was really seen, by whom it was chosen, and what it cost."""

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from xpm_ce.learn.counts import Counts
from xpm_ce.parameters import read_parameters

STEPS, MAX_LENGTH, MAX_QUERY_LENGTH, SPECIALS = 10, 20, 6, 3
DOCUMENTS = {"InfoNCE": 4 * 2, "MarginMSE": 4 * 2, "ADR-MSE": 2 * 6}


def seen(study, loss):
    """(tokens of query and document before anything is cut) of every pair, step by step, by transformers."""
    task = study.task(loss)
    tokenizer = AutoTokenizer.from_pretrained(task.checkpoint)
    groups, queries, texts = task.training_set.open(), task.queries.read(), study.documents()
    steps = task.sampler.open(groups, task.seed)

    def tokens(text):
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    return [
        [
            (tokens(queries[groups.query_id(group.query_index)]), tokens(texts.text(int(row))))
            for group in steps.step(step)
            for row in group.documents
        ]
        for step in range(task.steps)
    ]


@pytest.mark.parametrize("loss", DOCUMENTS)
def test_the_ledger_counts_what_was_really_in_the_steps(loss, trained_study):
    ledger, expected = trained_study.ledger(loss), Counts()
    for step in seen(trained_study, loss):
        lengths, cut_queries, cut_documents = [], [], []
        for query, document in step:
            kept = min(query, MAX_QUERY_LENGTH)
            lengths.append(min(SPECIALS + kept + document, MAX_LENGTH))
            cut_queries.append(query > MAX_QUERY_LENGTH)
            cut_documents.append(SPECIALS + kept + document > MAX_LENGTH)
        expected = expected.plus(
            Counts(
                documents=len(step),
                tokens=sum(lengths),
                squared_tokens=sum(length**2 for length in lengths),
                rectangle_tokens=len(lengths) * max(lengths),
                queries_truncated=sum(cut_queries),
                documents_truncated=sum(cut_documents),
                pairs_truncated=sum(map(max, cut_queries, cut_documents)),
            )
        )
    for name in (
        "documents", "tokens", "squared_tokens", "rectangle_tokens", "queries_truncated", "documents_truncated",
        "pairs_truncated",
    ):  # fmt: skip
        assert ledger[name] == getattr(expected, name), name
    assert ledger["documents"] == STEPS * DOCUMENTS[loss]
    assert ledger["documents_per_step"] == DOCUMENTS[loss]
    assert ledger["document_truncation_rate"] == expected.documents_truncated / expected.documents
    assert ledger["query_truncation_rate"] == expected.queries_truncated / expected.documents
    assert 0 < expected.queries_truncated != expected.documents_truncated > 0


def test_padding_that_was_avoided_is_that_of_one_rectangle_per_step(trained_study):
    ledger = trained_study.ledger("InfoNCE")
    assert ledger["padded_tokens"] == ledger["tokens"]  # this family is computed without padding
    assert ledger["padding_avoided"] == pytest.approx(1 - ledger["tokens"] / ledger["rectangle_tokens"])
    assert ledger["padding_avoided"] > 0


def test_second_forward_passes_are_counted_apart(trained_study):
    """Lists of 6 documents exceed the budget of 40 tokens, pairs do not."""
    assert trained_study.ledger("InfoNCE")["recomputed_tokens"] == 0
    lists = trained_study.ledger("ADR-MSE")
    assert lists["recomputed_tokens"] == lists["tokens"]


def test_the_source_of_negatives_is_the_task_that_made_the_set_with_its_parameters(trained_study):
    negatives = trained_study.ledger("ADR-MSE")["negatives"]
    assert (negatives["type"], negatives["last_rank"], negatives["random_documents"]) == ("MineTrainingSet", 20, 10)
    assert (negatives["run"]["type"], negatives["run"]["depth"]) == ("Retrieve", 30)
    assert not {"store", "queries", "teacher", "path"} & {*negatives, *negatives["run"], *negatives["run"]["index"]}
    made = trained_study.job("ADR-MSE").config.training_set.__xpm__.task
    assert negatives["task"] == made.__identifier__().all.hex()


def test_the_teacher_is_named_where_the_loss_learns_from_one_only(trained_study):
    assert trained_study.ledger("InfoNCE")["teacher"] is None
    assert trained_study.ledger("MarginMSE")["teacher"]["type"] == "GeneratedTeacher"
    assert trained_study.ledger("ADR-MSE")["teacher"]["type"] == "GeneratedTeacher"


def test_every_seed_is_told_by_its_place(trained_study):
    seeds = trained_study.ledger("InfoNCE")["seeds"]
    assert (seeds["seed"], seeds["scorer.head_seed"]) == (1, 1)
    assert not any("tokenizer" in name for name in seeds)  # the seeds of other tasks are theirs


def test_the_share_of_the_peak_is_that_of_the_products_of_the_real_tokens(trained_study):
    ledger, task = trained_study.ledger("MarginMSE"), trained_study.task("MarginMSE")
    hidden = intermediate = 16
    layer = 4 * hidden * hidden + 2 * hidden * intermediate
    flops = 3 * (2 * layer * ledger["tokens"] + 4 * hidden * ledger["squared_tokens"])
    assert task.scorer.backbone.num_layers == 1
    assert ledger["gflops"] == pytest.approx(flops / ledger["seconds"] / 1e9)
    assert ledger["share_of_peak"] == pytest.approx(ledger["gflops"] / ledger["matmul_peak_gflops"])
    assert ledger["examples_per_second"] == pytest.approx(ledger["documents"] / ledger["seconds"])
    assert 0 < ledger["share_of_peak"] < 1


def test_the_ledger_says_how_it_was_computed(trained_study):
    ledger = trained_study.ledger("InfoNCE")
    expected = {
        "schema": 2, "steps": STEPS, "queries_per_step": 4, "precision": "fp32", "precision_used": "fp32",
        "device": "cpu", "threads": 1, "processes": 1, "continued_from": None, "max_length": MAX_LENGTH,
        "max_query_length": MAX_QUERY_LENGTH, "initial_head": "new", "training_queries": 40,
    }  # fmt: skip
    assert {name: ledger[name] for name in expected} == expected
    assert ledger["environment"]["packages"]["torch"] == torch.__version__


def test_every_field_of_a_ledger_is_documented_and_nothing_else(trained_study):
    page = (Path(__file__).parents[2] / "docs" / "fairness.md").read_text()
    table = page.partition("## The ledger")[2].partition("\n## ")[0]
    documented = {
        name for line in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE) for name in re.findall("`(.+?)`", line)
    }
    assert documented == set(trained_study.ledger("InfoNCE"))


# -- counts -------------------------------------------------------------------------------------------------


def test_counts_are_read_as_they_were_written():
    counts = Counts(steps=2, documents=9, seconds=0.5)
    assert Counts.read(json.loads(json.dumps(counts._asdict()))) == counts


@pytest.mark.parametrize("change", [{"documents_truncated": None}, {"something": 1}], ids=["older", "newer"])
def test_counts_of_another_version_are_refused_instead_of_filled_up(change):
    record = {name: value for name, value in {**Counts()._asdict(), **change}.items() if value is not None}
    with pytest.raises(ValueError, match="it counts"):
        Counts.read(record)


# -- parameters ---------------------------------------------------------------------------------------------


def test_an_output_stands_for_the_task_that_made_it_with_its_own_fields(trained_study):
    given = read_parameters(trained_study.job("MarginMSE").folder)
    training_set = given.fields["training_set"]
    assert given.type == "Learner"
    assert (training_set.type, training_set.fields["first_rank"]) == ("MineTrainingSet", 1)
    assert training_set.fields["supervision"] == ["labels", "teacher order", "teacher scores"]
    assert training_set.fields["store"] is given.fields["tokens"].fields["store"]


def test_a_path_is_not_a_value(trained_study):
    given = read_parameters(trained_study.job("MarginMSE").folder)
    assert not {"checkpoint", "ledger", "listing"} & set(given.fields)
    assert "training_set" not in given.fields["training_set"].fields


def test_a_description_ends_where_it_is_told_to(trained_study):
    given = read_parameters(trained_study.job("MarginMSE").folder)
    assert set(given.described(levels=0)) == {"type", "task"}
    assert set(given.described(levels=1)["training_set"]) == {"type", "task"}
    assert given.described(levels=2)["training_set"]["last_rank"] == 30
    assert "tokens" not in given.described(without=(given.fields["tokens"],))


def test_a_folder_without_parameters_has_none(tmp_path):
    assert read_parameters(tmp_path) is None
