"""Every shipped experiment plans, says what it is, and explains its keys."""

import re
from pathlib import Path

import pytest
import yaml

from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.study import Study
from xpm_ce.workspace import Workspace

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "experiments").glob("**/*.yaml"))


def test_ids_and_titles_are_unique():
    read = [yaml.safe_load(file.read_text()) for file in FILES]
    assert len(FILES) >= 2
    for key in ("id", "title"):
        values = [content[key] for content in read]
        assert len(values) == len(set(values))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_experiment_plans(file, tmp_path):
    from studies import small_collection

    overrides = []
    if yaml.safe_load(file.read_text())["collection"]["type"] == "folder":
        overrides = [f"collection.path={small_collection(tmp_path / 'folder')}"]
    plan = prepare(Configuration(Study.load(file, overrides)), Workspace(tmp_path / "ws")).plan
    assert plan.counts["blocked"] == 0
    assert plan.counts["run"] == len(plan.jobs) > 5
    assert {result.system for result in plan.results} >= {"first stage", "untrained", "trained"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
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
    assert len({job.identity for job in plan.jobs}) == len(plan.jobs) == 2893
