"""The benchmarks: they run, end with their line of ratios, and compare like with like."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from studies import study

from xpm_ce.engine.precision import capabilities, supported
from xpm_ce.workspace import Workspace

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGE = ROOT / "docs" / "performance.md"
PRINTED = ROOT / "docs" / "performance"
SHOWN = ("minilm-l12", "bert-base", "ettin-17m", "minilm-l6")
"""Shapes that the page shows, as far as scripts were run for them"""

TRAIN = (
    "train_fp32_vs_st", "train_bf16_vs_st_fp32", "train_bf16_vs_st_bf16", "train_bf16_vs_fp32", "train_share_of_peak",
    "train_bf16_share_of_peak",
)  # fmt: skip
RERANK = (
    "rerank_fp32_vs_st", "rerank_bf16_vs_st_fp32", "rerank_bf16_vs_st_bf16", "rerank_int8_vs_st_fp32",
    "rerank_fp32_vs_xpmir", "rerank_share_of_peak", "rerank_bf16_share_of_peak", "batch_from_tokens_vs_from_texts",
)  # fmt: skip
MEMORY = ("memory_24_vs_8", "step_memory_24_vs_8")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def script(monkeypatch):
    """A script of the benchmarks as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def quick_ratios(name: str) -> dict[str, float | None]:
    """The ratios that a script ends with, on a tiny shape, in a fresh process."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--quick"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(process.stdout.splitlines()[-1])["ratios"]


def missing_ratios(ratios: dict[str, float | None]) -> set[str]:
    assert all(value > 0 for value in ratios.values() if value is not None)
    return {name for name, value in ratios.items() if value is None}


def without(keys: tuple[str, ...], script) -> set[str]:
    """Those of some ratios that this machine or this environment cannot have."""
    absent = {name for name in keys if "bf16" in name and not supported("bf16", "cpu", capabilities())}
    absent |= {name for name in keys if "int8" in name and not supported("int8", "cpu", capabilities())}
    if keys == TRAIN and script("peers").missing(script("peers").TRAINER_NEEDS):
        absent |= {name for name in keys if "_st" in name}
    return absent


@pytest.mark.parametrize(
    ("name", "keys"),
    [("train", TRAIN), ("rerank", RERANK), ("memory", MEMORY), ("measure", ("measure_vs_ir_measures",))],
)
def test_a_benchmark_ends_with_its_ratios_and_null_only_for_what_cannot_be_had(name, keys, script):
    ratios = quick_ratios(name)
    assert ratios.keys() == set(keys)
    assert missing_ratios(ratios) == without(keys, script)


def test_every_command_of_the_page_is_one_that_its_script_takes(script):
    commands = re.findall(r"python (benchmarks/\w+\.py[^`\n]*)", PAGE.read_text())
    assert {Path(shlex.split(command)[0]).stem for command in commands} == {
        "train", "rerank", "memory", "measure", "planning", "monitor", "expected",
    }  # fmt: skip
    for command in commands:
        file, *arguments = shlex.split(command, comments=True)
        script(Path(file).stem).main.make_context(file, arguments)


def printed(name: str) -> list[str]:
    """What a script printed for the page, line by line; nothing where it was not run."""
    file = PRINTED / f"{name}.txt"
    return file.read_text().splitlines() if file.exists() else []


def table_of_ratios() -> str:
    """A column for each shape, a row for each ratio; a dash for what was not measured."""
    columns: dict[str, dict[str, float | None]] = {}
    for shape in SHOWN:
        for kind in ("train", "rerank"):
            for line in printed(f"{kind}-{shape}")[-1:]:
                columns.setdefault(shape, {}).update(json.loads(line)["ratios"])
    rows = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in [*TRAIN, *RERANK]:
        values = [ratios.get(name) for ratios in columns.values()]
        cells = ["–" if each is None else f"{each:.0%}" if "share" in name else f"{each:.2f}" for each in values]
        rows.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def table_of_memory() -> str:
    """A row for each list: documents, most in the process, what the step adds, with their ratios to the first."""
    rows = [re.findall(r"[\d.]+", line) for line in printed("memory-minilm-l12") if re.match(r"\d+ documents", line)]
    lines = [
        "| 512-token documents | most in the process, MiB | of the first | what the step adds, MiB | of the first |",
        "|---|---|---|---|---|",
    ]
    for documents, _, _, _, peak, taken, ratio in rows:
        lines.append(f"| {documents} | {peak} | {int(peak) / int(rows[0][4]):.2f} | {taken} | {ratio} |")
    return "\n".join(lines) + "\n"


def table_of_planning() -> str:
    """A row for each plan."""
    rows = ["| jobs | | of them to run | processor time, s | most in the process, MiB |", "|---|---|---|---|---|"]
    for line in printed("planning")[-1:]:
        for grid in json.loads(line).values():
            rows += [
                f"| {each['jobs']} | {what} | {each['to_run']} | {each['processor']:.1f} | {each['peak_mib']} |"
                for what, each in grid.items()
            ]
    return "\n".join(rows) + "\n"


def table_of_expected() -> str:
    """A row for each kind of job, a column for each seed but the first."""
    rows = ["| | second seed | third seed |", "|---|---|---|"]
    for line in printed("expected")[-1:]:
        for what, ratios in json.loads(line)["ratios"].items():
            rows.append(f"| {what} | {' | '.join(f'{each:.2f}' for each in ratios)} |")
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("ratios", table_of_ratios), ("memory", table_of_memory), ("planning", table_of_planning),
        ("expected", table_of_expected),
    ],
)  # fmt: skip
def test_the_tables_of_the_page_show_what_the_scripts_printed(name, table):
    """To write them again after a script was run: XPM_CE_UPDATE_DOCS=1 pytest tests/test_benchmarks.py -k tables"""
    text = PAGE.read_text()
    before, _, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- end of {name} -->")
    assert end
    wanted = f"{before}<!-- {name} -->\n{table()}{end}{after}"
    if os.environ.get("XPM_CE_UPDATE_DOCS"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted


def test_systems_take_turns_and_warm_up_is_not_timed(script):
    order: list[tuple[str, int]] = []
    systems = {name: lambda number, name=name: order.append((name, number)) for name in "abc"}
    spent = script("measuring").in_turns(systems, warmup=1, rounds=3, device=torch.device("cpu"))
    assert [len(each.processor) for each in spent.values()] == [3, 3, 3]
    assert ["".join(name for name, number in order if number == each) for each in range(4)] == [
        "abc", "bca", "cab", "abc",
    ]  # fmt: skip


def test_tables_of_drawn_results_are_timed():
    """The figures of the full study (3 564 evaluations) are in docs/statistics.md; this one is small."""
    command = [sys.executable, str(BENCHMARKS / "tables.py"), "--quick"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    told = json.loads(process.stdout.splitlines()[-1])
    assert told["evaluations"] == 24
    assert set(told["tables"]) == {"means", "t", "randomisation", "t_two_baselines"}
    assert told["tables"]["means"]["marks"] == 0 < told["tables"]["t"]["marks"]
    assert told["tables"]["t"]["processor"] < 10
    assert told["peak_mib"] < 1000


def test_texts_are_as_long_as_those_of_ms_marco(script, tmp_path):
    world = script("workload").make_world(tmp_path, queries=200, passages=2000, seed=1)
    words = [len(text.split()) for text in world.passages]
    assert np.mean(words) == pytest.approx(56, abs=2)
    assert np.percentile(words, 95) == pytest.approx(116, abs=6)
    assert {len(text.split()) for text in world.queries.values()} == {6, 7, 8, 9, 10}
    tokens = world.tokens.instance().open()
    assert 1.2 < tokens.rows(np.arange(2000)).lengths.sum() / sum(words) < 1.4


def test_sorted_by_characters_drawn_passages_are_padded_a_little_less_than_real_ones(script, tmp_path):
    workload = script("workload")
    world = workload.make_world(tmp_path, queries=1, passages=1000, seed=0)
    order = np.argsort([-len(text) for text in world.passages], kind="stable")
    lengths = world.tokens.instance().open().rows(order).lengths
    batches = [lengths[first : first + 32] for first in range(0, len(lengths), 32)]
    assert 1.15 < sum(each.max() * len(each) for each in batches) / lengths.sum() < 1.28


def test_passages_are_cut_out_of_real_texts(script, tmp_path):
    workload = script("workload")
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "1", "title": "not this", "text": "one two three"}\n{"text": "four"}\n'
    )
    (tmp_path / "collection.tsv").write_text("0\tone two three\n1\tfour\n")
    texts = [workload.read_texts(tmp_path / name) for name in ("corpus.jsonl", "collection.tsv")]
    assert texts[0] == texts[1] == ["one two three", "four"]
    long = " ".join(f"word{each}" for each in range(5000))
    world = workload.make_world(tmp_path, queries=2, passages=50, seed=0, texts=[*texts[0], long])
    assert all(text in long or text in texts[0] for text in [*world.passages, *world.queries.values()])
    assert 40 < np.mean([len(text.split()) for text in world.passages]) < 70


def test_both_trainers_learn_the_same_from_the_same(script, tmp_path, monkeypatch):
    """Without dropout, their losses are equal step after step, so that what is timed is the same work."""
    pytest.importorskip("accelerate")
    pytest.importorskip("datasets")
    train, workload, peers = script("train"), script("workload"), script("peers")
    sizes = workload.sizes
    monkeypatch.setattr(workload, "sizes", lambda shape: {**sizes(shape), "dropout": 0.0})
    cpu = torch.device("cpu")
    settings = train.StepSettings(
        shape="tiny", queries=4, rounds=3, warmup=0, device=cpu, threads=1, tokens_per_batch=4096, seed=0,
        attention="sdpa", skip=(),
    )  # fmt: skip
    world = workload.make_world(tmp_path, queries=12, passages=24, seed=0)
    training_set = world.training_set(workload.taught_groups(world, documents=2, seed=0))
    ours = train.our_training(world, settings, "fp32", training_set)
    ours.training.scorer.save(tmp_path / "model")
    how = peers.TrainerSettings(4, train.LEARNING_RATE, train.WARMUP_STEPS, cpu, threads=1)
    theirs = peers.SentenceTransformersTrainer(tmp_path / "model", ours.triples(world, 3), how, bf16=False)
    with ours.training.writing():
        for step in range(3):
            ours.step(step)
            theirs.step(step)
            assert theirs.loss == pytest.approx(ours.training.position.last_loss, rel=1e-5)
    theirs.end()
    assert theirs.computed == torch.float32


def test_plans_are_timed():
    """The figures of 3 000 and 10 000 jobs are in docs/performance.md; this grid is small."""
    command = [sys.executable, str(BENCHMARKS / "planning.py"), "--quick"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    told = json.loads(process.stdout.splitlines()[-1])["quick"]
    assert {what: figures["to_run"] for what, figures in told.items()} == {
        "nothing on disk": 186, "all done": 0, "one value changed": 132,
    }  # fmt: skip


@pytest.mark.pipeline
def test_what_a_run_takes_is_compared_with_what_its_plan_expects(script, workspace_copy, tmp_path):
    """The figures of the quickstart are in docs/performance.md; here is one learner more of the tiny study."""
    file = study(tmp_path, grid={"learner.loss": ["infonce"], "learner.seed": [1, 2]})
    found = script("expected").compared(file, Workspace(workspace_copy))
    assert found.keys() == {"learn", "rerank", "measure", "all jobs", "until all has run"}
    assert {what: figures.jobs for what, figures in found.items()} == {
        "learn": 1, "rerank": 1, "measure": 1, "all jobs": 3, "until all has run": 3,
    }  # fmt: skip
    assert all(figures.expected > 0 < figures.taken for figures in found.values())
    assert found["all jobs"].taken < found["until all has run"].taken


def test_the_monitor_costs_what_is_promised():
    recorded = json.loads((PRINTED / "monitor.txt").read_text().splitlines()[-1])
    assert recorded["jobs"] == 5000
    assert recorded["first_reading_s"] < 1
    assert recorded["look_all_done_s"] < 0.005
    assert recorded["idle_share"] < 0.005
    assert recorded["busy_share"] < 0.01


def test_the_benchmark_of_the_monitor_runs():
    command = [sys.executable, str(BENCHMARKS / "monitor.py"), "--jobs", "300", "--seconds", "1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(BENCHMARKS)])}
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert process.returncode == 0, process.stderr
    printed = json.loads(process.stdout.splitlines()[-1])
    assert printed["jobs"] == 300
    assert 0 <= printed["idle_share"] < 0.2
