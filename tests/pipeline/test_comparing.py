"""Two re-rankings that went through the real scheduler, compared as a reviewer would: every number is scipy's."""

import json

import numpy as np
import pytest
from pyarrow import parquet
from scipy import stats

pytestmark = pytest.mark.pipeline


def test_what_compare_prints_is_scipys_on_the_per_query_files(tiny_workspace, run_command):
    process = run_command(
        "xpm-ce", "compare", "loss=infonce", "loss=margin_mse", "--workdir", tiny_workspace, "--json"
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    values = []
    for side in ("a", "b"):
        (job,) = found[side]["jobs"]
        values.append(parquet.read_table(tiny_workspace / f"jobs/xpm_ce.evaluate.measure/{job}/per_query.parquet"))
    assert [line["measure"] for line in found["lines"]] == ["nDCG@10", "RR@10"]
    for line in found["lines"]:
        a, b = (table[f"{line['measure']}|20|given"].to_numpy() for table in values)
        interval = stats.bootstrap((b - a,), np.mean, n_resamples=10_000, rng=np.random.default_rng(0))
        assert line["p_values"]["t"] == pytest.approx(stats.ttest_rel(b, a).pvalue, rel=1e-9)
        assert (line["interval"]["low"], line["interval"]["high"]) == pytest.approx(interval.confidence_interval)
        assert (line["wins"], line["losses"]) == ((b > a).sum(), (b < a).sum())
    wins = found["largest"][0]["wins"] + found["largest"][0]["losses"]
    assert wins
    assert all(len(query["documents_a"]) == 5 for query in wins)


def test_a_finished_study_is_a_latex_table_with_tests(tiny_workspace, run_command, tmp_path):
    output = tmp_path / "table.tex"
    process = run_command(
        "xpm-ce", "table", "tiny", "--workdir", tiny_workspace, "--cols", "protocol,measure", "--baseline", "BM25",
        "--output", output,
    )  # fmt: skip
    assert (process.returncode, process.stdout) == (0, ""), process.stderr
    text = output.read_text()
    assert r"\begin{tabular}" in text
    assert "Holm over 4 comparisons, alpha 0.05" in text
