"""The miniature of each recipe, through the real scheduler: everything that the recipe names runs."""

import json
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parent.parent.parent / "experiments"

pytestmark = pytest.mark.pipeline


@pytest.mark.parametrize(("recipe", "learners"), [("ce_distillation", 12), ("rank_distillm", 8)])
def test_the_miniature_of_a_recipe_runs(recipe, learners, run_command, tmp_path):
    process = run_command("xpm-ce", "run", EXPERIMENTS / recipe / "smoke.yaml", "--workdir", tmp_path, timeout=900)
    assert process.returncode == 0, process.stdout + process.stderr
    ledgers = [json.loads(file.read_text()) for file in tmp_path.glob("jobs/xpm_ce.learn.learner/*/ledger.json")]
    assert len(ledgers) == learners
    assert "0 failed, 0 blocked" in process.stdout
