"""An experiment declared in Python is the experiment that its YAML declares."""

from pathlib import Path

import pytest
import yaml
from studies import TINY, plan_of

from xpm_ce import Architecture, CrossEncoder, Experiment, Generated, GroupSampler, InfoNCE, MarginMSE
from xpm_ce.errors import ConfigurationError, UnknownKeyError

QUICKSTART = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"


def identities(plan) -> set[str]:
    return {job.identity for job in plan.jobs}


def test_the_quickstart_in_python_has_the_identities_of_its_yaml(tmp_path):
    sections = yaml.safe_load(QUICKSTART.read_text())
    name = sections.pop("id")
    sections["learner"]["learning_rate"] = float(sections["learner"]["learning_rate"])
    plan = Experiment(name, **sections).plan(tmp_path)
    assert identities(plan) == identities(plan_of(tmp_path, file=QUICKSTART))


def test_typed_configurations_have_the_identities_of_their_yaml(tiny_workspace):
    bert = Architecture.C(
        family="bert", hidden_size=16, num_layers=1, num_heads=2, intermediate_size=16, max_positions=32, vocab_size=600
    )
    sizes = {"documents": 120, "train_queries": 40, "validation_queries": 8, "test_queries": 16, "teacher_others": 120}
    experiment = Experiment(
        "tiny",
        collection=Generated.C(**sizes),
        first_stage={"type": "bm25", "depth": 30},
        training_set={"type": "mined", "last_rank": 30, "random_documents": 10, "teacher": "collection"},
        learner={
            "scorer": CrossEncoder.C(backbone=bert, max_length=32, max_query_length=16),
            "sampler": GroupSampler.C(queries=4, negatives=1),
            "steps": 8, "learning_rate": 1e-3, "warmup_steps": 2, "seed": 1,
        },
        grid={"loss": {"infonce": {"learner.loss": InfoNCE.C()}, "margin_mse": {"learner.loss": MarginMSE.C()}}},
        evaluation={"sets": [{"split": "test"}], "depths": [10, 20], "measures": ["nDCG@10", "RR@10"]},
    )  # fmt: skip
    plan = experiment.plan(tiny_workspace)
    assert identities(plan) == identities(plan_of(tiny_workspace, file=TINY))
    assert plan.counts["run"] == 0


def test_a_misspelt_section_is_refused():
    with pytest.raises(UnknownKeyError, match=r"Experiment\('x'\): unknown key colection\n  Did you mean collection\?"):
        Experiment("x", colection=Generated.C())


def test_a_learner_without_a_training_set_is_refused():
    with pytest.raises(ConfigurationError, match="a learner needs a training set"):
        Experiment("x", collection={}, first_stage={}, evaluation={}, learner={})
