"""Tables, statistics and comparisons of drawn result files, byte for byte as they are checked in.

To accept a change on purpose: XPM_CE_UPDATE_GOLDEN=1 pytest tests/golden, and say why in the commit message.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xpm_ce.analysis.statistics.families import CORRECTIONS
from xpm_ce.analysis.statistics.intervals import bootstrap, hierarchical_bootstrap
from xpm_ce.analysis.statistics.paired import effect_size, outcomes, randomisation, t_test
from xpm_ce.cli.compare import command as compare
from xpm_ce.cli.table import command as table
from xpm_ce.workspace import Workspace

GOLDEN = Path(__file__).parent / "tables"

STUDY = ["--rows", "backbone,loss", "--cols", "protocol"]
PRINTED = {
    "default.txt": [],
    "protocols.txt": STUDY,
    "protocols.md": [*STUDY, "--format", "md"],
    "protocols.tex": [*STUDY, "--format", "latex", "--baseline", "loss=BCE"],
    "tested.txt": [*STUDY, "--baseline", "loss=bce", "--agg", "seed:mean"],
    "two_baselines.txt": [*STUDY, "--baseline", "BM25", "--baseline", "BERT, InfoNCE", "--correction", "bh"],
    "two_baselines.tex": [*STUDY, "--baseline", "BM25", "--baseline", "BERT, InfoNCE", "--format", "latex"],
    "randomisation.txt": ["--baseline", "BCE", "--test", "randomisation", "--correction", "bonferroni", "-m", "RR@10"],
    "wide.tex": ["--rows", "loss", "--cols", "backbone,protocol,measure", "--format", "latex"],
    "measures.tex": ["--rows", "loss", "--cols", "backbone,measure", "--format", "latex"],
    "long.csv": ["--format", "csv"],
    "explain.txt": [*STUDY, "--explain", "BERT, BCE, DL19"],
    "explain_mean.txt": [*STUDY, "--explain", "BERT,BCE,DL"],
}
"""Options of each file"""


def printed(command, workspace: Workspace, *arguments: str) -> str:
    result = CliRunner().invoke(command, [*arguments, "--workdir", str(workspace.path)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.replace(str(workspace.path), "WORKSPACE")


def check(name: str, text: str) -> None:
    if os.environ.get("XPM_CE_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_text(text)
    assert (GOLDEN / name).read_text() == text


def rounded(value):
    """Ten digits: sums may differ in the last ones between processors."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", PRINTED)
def test_a_table_is_the_golden_one(name, drawn):
    check(name, printed(table, drawn, "study", *PRINTED[name]))


def test_a_table_as_json_is_the_golden_one(drawn):
    found = json.loads(printed(table, drawn, "study", *STUDY, "--json", "--baseline", "loss=BCE"))
    check("tested.json", json.dumps(rounded(found), indent=1, ensure_ascii=False) + "\n")


def test_a_comparison_is_the_golden_one(drawn):
    places = ["loss=BCE,backbone=BERT", "loss=InfoNCE", "--protocol", "SciFact"]
    check("compared.txt", printed(compare, drawn, *places))
    found = json.loads(printed(compare, drawn, *places, "--json"))
    check("compared.json", json.dumps(rounded(found), indent=1) + "\n")


def test_statistics_are_the_golden_ones():
    """Of values drawn from raw integers, with the ties and zeros that measures have."""
    raw = (np.random.PCG64(10).random_raw(120 * 6) >> np.uint64(11)) / float(1 << 53)
    values = np.clip(raw.reshape(120, 6) * 1.2 - 0.1, 0, 1).round(2)
    values[:, 3:] = np.clip(0.8 * values[:, :3] + 0.2 * values[:, 3:] + 0.02, 0, 1)
    differences = values[:, 3:] - values[:, :3]
    p_values = {name: test(differences) for name, test in (("t", t_test), ("randomisation", randomisation))}
    intervals = {
        method: [bootstrap(each, method=method)[:2] for each in differences.T] for method in ("bca", "percentile")
    }
    found = {
        "p": {name: each.tolist() for name, each in p_values.items()},
        "adjusted": {name: correct(p_values["t"]).tolist() for name, correct in CORRECTIONS.items()},
        "effect": effect_size(differences).tolist(),
        "outcomes": [each.tolist() for each in outcomes(differences)],
        "intervals": {name: [list(each) for each in found] for name, found in intervals.items()},
        "over seeds": list(hierarchical_bootstrap(values[:, :3].T, values[:, 3:].T)[:2]),
    }
    check("statistics.json", json.dumps(rounded(found), indent=1) + "\n")


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.tex")), ids=lambda file: file.name)
def test_the_latex_of_a_table_compiles(file, tmp_path):
    compiler = shutil.which("tectonic") or shutil.which("pdflatex")
    if compiler is None:
        pytest.skip("no tectonic and no pdflatex on this machine")
    if "tectonic" not in compiler and not subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).stdout:
        pytest.skip("this LaTeX has no booktabs package")
    head = "\\documentclass[a4paper,twocolumn]{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
    (tmp_path / "page.tex").write_text(f"{head}{file.read_text()}\\end{{document}}\n")
    options = [] if "tectonic" in compiler else ["-interaction=nonstopmode", "-halt-on-error"]
    process = subprocess.run([compiler, *options, "page.tex"], cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 0, process.stdout[-2000:]
    assert (tmp_path / "page.pdf").stat().st_size > 1000
    assert not re.search(r"Missing character|undefined", process.stdout)
