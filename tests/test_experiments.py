"""Every shipped experiment plans, says what it is, and explains its keys."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from xpm_ce.analysis.expected import EXPECTED
from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.planner import State, Why
from xpm_ce.graph.study import Study
from xpm_ce.scorers.published import PUBLISHED
from xpm_ce.workspace import Workspace

ROOT = Path(__file__).parent.parent
FILES = sorted(file for file in (ROOT / "experiments").glob("**/*.yaml") if file.name != EXPECTED)


def test_ids_and_titles_are_unique():
    read = [yaml.safe_load(file.read_text()) for file in FILES]
    assert len(FILES) >= 2
    for key in ("id", "title"):
        values = [content[key] for content in read]
        assert len(values) == len(set(values))


NO_COMMIT = {f"no commit of {row.id} is on record" for row in PUBLISHED.values() if row.revision is None}
"""What may keep a shipped experiment from running, as the plan says it"""
NO_GPU = {f"{gpus}, by `gpus` in launchers" for gpus in ("1 GPU", "2 GPUs", "4 GPUs")}
"""And a GPU, which the recipes for a cluster ask for"""
LICENSED = {"disks45/nocr (documents) is not on this disk, and nothing downloads it"}
"""And data that have to be copied by hand"""


def name(file):
    return str(file.relative_to(ROOT / "experiments").with_suffix(""))


@pytest.fixture(scope="module", params=FILES, ids=name)
def planned(request, tmp_path_factory):
    """A shipped experiment and its plan; nothing of it is on this machine, and nothing is downloaded."""
    from studies import small_collection

    folder, overrides = tmp_path_factory.mktemp("planned"), []
    read = Study.load(request.param)
    if read.document.require("collection.type").text == "folder":
        overrides = [f"collection.path={small_collection(folder / 'collection')}"]
    return request.param, prepare(Configuration(Study.load(request.param, overrides)), Workspace(folder / "ws")).plan


def test_an_experiment_plans_and_says_what_keeps_it_from_running(planned):
    file, plan = planned
    assert len(plan.jobs) > 5
    causes = {job.reason for job in plan.jobs if job.state is State.BLOCKED}
    found = {value for reason in causes if reason.why is not Why.UPSTREAM_BLOCKED for value in reason.values}
    assert {value.partition(".")[0] for value in found} <= NO_COMMIT | LICENSED | NO_GPU
    if file.stem in ("quickstart", "scifact", "smoke"):
        assert not causes
    systems = {result.system for result in plan.results}
    untrained = Study.load(file).document.get("evaluation.untrained")
    assert {"first stage", "trained", *(["untrained"] if untrained is None or untrained.value else [])} <= systems


def cells(plan):
    """Learners that stand in the table, by their place in the grid."""
    learners = (job for job in plan.jobs if job.kind == "learn" and "stage" not in job.coordinates)
    return {tuple(job.coordinates.values()): job for job in learners}


def plan_of(path, folder, *overrides):
    return prepare(Configuration(Study.load(ROOT / "experiments" / path, overrides)), Workspace(folder)).plan


ONE_SET = "evaluation.protocols=[msmarco-dev@bm25-1000]"


def test_as_published_has_the_batches_and_the_learning_rates_of_the_paper(tmp_path):
    plan = plan_of(
        "ce_distillation/as_published.yaml", tmp_path, ONE_SET, "learner.validation.protocols=[nano-nq@bm25-100]"
    )
    learners = cells(plan)
    assert len(learners) == 6 * 9 * 3
    for (loss, backbone, _), job in learners.items():
        learner = job.config
        mini = backbone in ("Ettin-17M", "Ettin-32M", "MiniLM-L12", "Ettin-68M")
        assert learner.learning_rate == (7e-6 if mini else 1e-5)
        queries = {"InfoNCE": 8 if mini else 4, "DistillRankNET": 1, "ADR-MSE": 1}.get(loss, 64 if mini else 32)
        documents = {"InfoNCE": 8, "DistillRankNET": 50, "ADR-MSE": 50}.get(loss, 2)
        assert learner.sampler.groups_per_step() == queries
        assert learner.sampler.documents_per_group() == documents
        assert (learner.steps, learner.warmup_steps, learner.schedule) == (200_000, 5_000, "linear")
        assert (learner.scorer.max_length, learner.scorer.max_query_length) == (288, 32)
    data = {}
    for (loss, *_), job in learners.items():
        data.setdefault(loss, set()).add(job.config.training_set.__xpm__.identifier.all)
    assert [len(found) for found in data.values()] == [1] * 6
    assert data["BCE"] == data["Hinge"]
    assert data["DistillRankNET"] == data["ADR-MSE"]
    assert len(set.union(*data.values())) == 4


def test_controlled_varies_nothing_but_the_loss_within_a_backbone(tmp_path):
    learners = cells(plan_of("ce_distillation/controlled.yaml", tmp_path, ONE_SET))
    assert len(learners) == 6 * 9 * 3
    fixed = ("training_set", "sampler", "scorer", "tokens", "queries", "validation")
    for backbone, seed in {cell[1:] for cell in learners}:
        of_losses = [job.config for cell, job in learners.items() if cell[1:] == (backbone, seed)]
        assert len({config.loss.__xpm__.identifier.all for config in of_losses}) == 6
        for key in fixed:
            assert len({getattr(config, key).__xpm__.identifier.all for config in of_losses}) == 1
        assert {config.sampler.groups_per_step() * config.sampler.documents_per_group() for config in of_losses} == {64}


def test_both_stages_of_rank_distillm_are_those_of_the_paper(tmp_path):
    plan = plan_of("rank_distillm/as_published.yaml", tmp_path)
    learners = cells(plan)
    assert len(learners) == 4 * 3 == len([job for job in plan.jobs if job.kind == "learn"])
    for seed in "123":
        first, second = learners["stage one", seed], learners["both RankNET", seed]
        assert first.identity in second.depends_on
        assert first.identity not in learners["stage two", seed].depends_on
        assert (first.config.steps, second.config.steps) == (20_000, 939)
        assert first.config.sampler.groups_per_step() == second.config.sampler.groups_per_step() == 32
        assert {first.config.schedule, second.config.schedule} == {"constant"}


@pytest.mark.parametrize("path", ["ce_distillation/base.yaml", "rank_distillm/as_published.yaml"])
def test_planning_a_recipe_loads_no_library_of_data_and_downloads_nothing(path, tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom xpm_ce.experiment import Configuration, prepare\n"
        "from xpm_ce.graph.study import Study\nfrom xpm_ce.workspace import Workspace\n"
        "file, workspace = map(Path, sys.argv[1:])\n"
        "prepare(Configuration(Study.load(file)), Workspace(workspace))\n"
        "print(sorted({'ir_datasets', 'datamaestro', 'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, ROOT / "experiments" / path, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("file", FILES, ids=name)
def test_an_experiment_begins_with_what_it_is_and_how_to_run_it(file):
    head = re.match(r"(#.*\n)+", file.read_text())
    assert head
    assert f"#   xpm-ce run experiments/{file.relative_to(ROOT / 'experiments')}" in head[0]
    assert "#   experimaestro run-experiment experiments/" in head[0]


def test_a_grid_of_three_thousand_jobs_is_planned_job_by_job(tmp_path):
    seeds = f"grid.seed={{{', '.join(f's{n}: {{learner.seed: {n}}}' for n in range(80))}}}"
    file = ROOT / "experiments" / "quickstart.yaml"
    grid = yaml.safe_load(file.read_text())["grid"]
    grid = {"loss": grid["loss"], "backbone": grid["backbone"]}
    overrides = [f"grid={yaml.safe_dump(grid, default_flow_style=True, width=10**6).strip()}", seeds]
    plan = prepare(Configuration(Study.load(file, overrides)), Workspace(tmp_path)).plan
    kinds = plan.counts_by_kind
    assert (kinds["learn"]["run"], kinds["rerank"]["run"], kinds["measure"]["run"]) == (960, 962, 963)
    assert len({job.identity for job in plan.jobs}) == len(plan.jobs) == 2894
