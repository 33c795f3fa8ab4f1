"""Our measures against what trec_eval prints for its own test files, digit for digit.

`tests/fixtures/trec_eval` holds those files (trec_eval 10, `test/`, a work of the US government) and the printed lines
of the measures that we have. The whole folder, where $XPM_CE_TEST_DATA/trec_eval is one, must say the same.
To make the fixture anew: XPM_CE_UPDATE_GOLDEN=1 XPM_CE_TEST_DATA=FOLDER pytest tests/parity/test_trec_eval.py.
"""

import gzip
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from xpm_ce.data.runs import ExternalRun, cut
from xpm_ce.measures.evaluate import per_query

FIXTURE = Path(__file__).parents[1] / "fixtures" / "trec_eval"

NAMES = {
    "map": "AP{rel}", "map_cut": "AP{rel}@{k}", "Rprec": "Rprec{rel}", "bpref": "Bpref{rel}", "recip_rank": "RR{rel}",
    "P": "P{rel}@{k}", "recall": "R{rel}@{k}", "success": "Success{rel}@{k}", "ndcg": "nDCG", "ndcg_cut": "nDCG@{k}",
}  # fmt: skip
"""trec_eval's name -> ours; nDCG looks at grades, whatever the threshold"""

OUT_OF_SCOPE = {
    "11pt_avg", "G", "Rndcg", "Rprec_mult", "binG", "gm_bpref", "gm_map", "infAP", "iprec_at_recall", "ndcg_rel",
    "num_nonrel_judged_ret", "num_q", "num_rel", "num_rel_ret", "num_ret", "rbp", "rbp_resid", "relative_P",
    "relstring", "runid", "set_F", "set_P", "set_map", "set_recall", "set_relative_P", "unj", "utility",
}  # fmt: skip
"""What trec_eval prints beside them; docs/experiment.md says so"""


@dataclass(frozen=True)
class Output:
    """One call of trec_eval; all but the first two are with -q."""

    qrels: str = "qrels.test"
    results: str = "results.test"
    rel: int = 1
    depth: int = 1000
    lines: int = 0
    """Lines of measures that we have"""


OUTPUTS = {
    "out.test": Output(lines=13),
    "out.test.a": Output(lines=44),
    "out.test.aq": Output(lines=176),
    "out.test.aqc": Output(results="results.trunc", lines=176),
    "out.test.aqcM": Output(results="results.trunc", depth=100, lines=176),
    "out.test.aql": Output(qrels="qrels.rel_level", rel=2, lines=176),
    "out.test.meas_params": Output(lines=44),
}
"""The commands stand in the target `quicktest` of trec_eval's Makefile"""


def printed(text: str) -> list[tuple[str, str, str]]:
    """(trec_eval's name, query, value) of the lines of measures that we have; any other name must be out of scope."""
    lines = []
    for name, query, value in (line.split() for line in text.splitlines()):
        base = name if name in NAMES or name in OUT_OF_SCOPE else re.sub(r"_[0-9.,=-]+$", "", name)
        assert base in NAMES or base in OUT_OF_SCOPE, name
        # Gains other than the grades (ndcg_1=3,2=9) are out of scope: the name has a parameter.
        if base in NAMES and "=" not in name:
            lines.append((name, query, value))
    return lines


def our_name(name: str, rel: int) -> str:
    base, k = name, ""
    if name not in NAMES:
        base, _, k = name.rpartition("_")
    return NAMES[base].format(rel=f"(rel={rel})" if rel > 1 else "", k=k)


def content(folder: Path, name: str) -> str:
    packed = folder / f"{name}.gz"
    return (gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()).decode()


def assert_same_digits(folder: Path, name: str, scratch: Path) -> None:
    output, expected = OUTPUTS[name], printed(content(folder, name))
    assert len(expected) == output.lines
    qrels: dict[str, dict[str, int]] = {}
    for line in content(folder, output.qrels).splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = int(grade)
    # After the tag, trec_eval allows what it does not read.
    lines = (" ".join(line.split()[:6]) for line in content(folder, output.results).splitlines())
    (scratch / "run").write_text("".join(f"{line}\n" for line in lines))
    sha256 = hashlib.sha256((scratch / "run").read_bytes()).hexdigest()
    run = cut(ExternalRun.C(path=scratch / "run", sha256=sha256).read(), output.depth)

    measures = sorted({our_name(measure, output.rel) for measure, _, _ in expected})
    table = per_query(run, qrels, measures)
    values = {
        (query, measure): f"{value:.4f}"
        for query, row in [*zip(table.query_ids, table.values.tolist(), strict=True), ("all", table.means().values())]
        for measure, value in zip(table.measures, row, strict=True)
    }
    ours = [(measure, query, values[query, our_name(measure, output.rel)]) for measure, query, _ in expected]
    assert ours == expected


@pytest.fixture
def whole_folder() -> Path:
    folder = Path(os.environ.get("XPM_CE_TEST_DATA", "")) / "trec_eval"
    if not os.environ.get("XPM_CE_TEST_DATA") or not folder.is_dir():
        pytest.skip("$XPM_CE_TEST_DATA/trec_eval (the `test` folder of trec_eval) is absent")
    return folder


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_digit_that_trec_eval_prints_is_printed(tmp_path, name):
    assert_same_digits(FIXTURE, name, tmp_path)


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_whole_folder_says_the_same(whole_folder, tmp_path, name):
    assert_same_digits(whole_folder, name, tmp_path)


def test_the_fixture_is_a_part_of_the_whole_folder(whole_folder):
    wanted = {
        name: "".join("\t".join(line) + "\n" for line in printed(content(whole_folder, name))) for name in OUTPUTS
    }
    for output in OUTPUTS.values():
        wanted |= {name: content(whole_folder, name) for name in (output.qrels, output.results)}
    if os.environ.get("XPM_CE_UPDATE_GOLDEN"):
        for name, text in wanted.items():
            (FIXTURE / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    assert {name: content(FIXTURE, name) for name in wanted} == wanted
