"""What the documentation says, done: commands are run, examples are executed, tables of keys are those of the classes.

To rewrite the tables of keys: XPM_CE_UPDATE_DOCS=1 pytest tests/test_docs.py
"""

import csv
import functools
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from xpm_ce.data.datamaestro_source import Datamaestro
from xpm_ce.data.distilled import RunTrainingSet
from xpm_ce.data.file_run import FileRun
from xpm_ce.data.folder import Folder
from xpm_ce.data.generated import Generated
from xpm_ce.data.ir_datasets_source import IrDatasets
from xpm_ce.data.mining import MineTrainingSet
from xpm_ce.data.store import StoreDocuments
from xpm_ce.data.triples import TripleTrainingSet
from xpm_ce.experiment import Configuration, prepare
from xpm_ce.firststage.retrieve import Retrieve
from xpm_ce.firststage.splade import SpladeEncoder, SpladeRetrieve
from xpm_ce.graph import sections
from xpm_ce.graph.study import OTHER_SECTIONS, SECTIONS, Study
from xpm_ce.graph.teachers import CrossFitting
from xpm_ce.graph.wiring import WIRED_IN_TRAINING_SETS
from xpm_ce.launch.file import read_launchers
from xpm_ce.launch.placement import place
from xpm_ce.learn.learner import Learner
from xpm_ce.learn.validation import Validation
from xpm_ce.losses.table import LOSSES, loss_class
from xpm_ce.measures.names import MEASURES
from xpm_ce.samplers.groups import GroupSampler
from xpm_ce.samplers.lists import ListSampler
from xpm_ce.samplers.triples import TripleSampler
from xpm_ce.scorers.architecture import Architecture
from xpm_ce.scorers.backbones import HubBackbone, LocalBackbone, PackageBackbone, PublishedBackbone
from xpm_ce.scorers.cross_encoder import CrossEncoder
from xpm_ce.settings import fields, load
from xpm_ce.workspace import Workspace

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "experiments").glob("*/README.md"))]
TINY = ROOT / "tests" / "studies" / "tiny.yaml"

WIRED = {
    "store", "tokens", "queries", "training_set", "index", "ignore_identical_ids", "tokenizer", "sha256", "documents",
    "validation", "continue_from",
}  # fmt: skip
KEYS = {
    "collection, type: generated": (Generated, ()),
    "collection, type: folder": (Folder, ()),
    "collection, type: ir_datasets": (IrDatasets, ()),
    "collection, type: datamaestro": (Datamaestro, ()),
    "store": (StoreDocuments, WIRED),
    "first_stage, type: bm25": (Retrieve, WIRED),
    "first_stage, type: splade": (SpladeEncoder, ()),
    "first_stage, type: splade, too": (SpladeRetrieve, WIRED),
    "training_set, type: mined": (MineTrainingSet, WIRED_IN_TRAINING_SETS),
    "training_set, type: run": (RunTrainingSet, WIRED_IN_TRAINING_SETS),
    "training_set, type: triples": (TripleTrainingSet, WIRED_IN_TRAINING_SETS),
    "training_set.run": (FileRun, ()),
    "training_set.teacher.cross_fitted": (CrossFitting, ()),
    "validation": (sections.ValidationSplit, ()),
    "learner": (Learner, WIRED),
    "learner.validation": (Validation, {"sets"}),
    "learner.scorer, type: cross_encoder": (CrossEncoder, ()),
    "learner.scorer.backbone, type: published": (PublishedBackbone, ()),
    "learner.scorer.backbone, type: hub": (HubBackbone, ()),
    "learner.scorer.backbone, type: local": (LocalBackbone, WIRED),
    "learner.scorer.backbone, type: package": (PackageBackbone, WIRED),
    "learner.scorer.backbone, type: architecture": (Architecture, WIRED),
    "learner.sampler, type: groups": (GroupSampler, ()),
    "learner.sampler, type: lists": (ListSampler, ()),
    "learner.sampler, type: triples": (TripleSampler, ()),
    **{f"learner.loss, type: {name}": (loss_class(name), ()) for name in LOSSES},
    "evaluation": (sections.Evaluation, ()),
    "evaluation.sets": (sections.EvaluationSet, ()),
    "models": (sections.ModelFolder, ()),
    "runs": (sections.RunFile, ()),
    "table": (sections.TableLayout, ()),
}


def key_tables() -> str:
    """Every section's keys as Markdown, from the classes' own arguments."""
    parts = []
    for title, (cls, wired) in KEYS.items():
        parts.append(f"### {title}\n\n{' '.join((cls.__doc__ or '').split(chr(10) * 2)[0].split())}\n")
        rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
        for field in fields(cls, wired):
            default = "required" if field.required else f"`{field.default}`" if field.default is not None else "none"
            name = f"`{field.name}`" if field.identity else f"*`{field.name}`*"
            rows.append(f"| {name} | {field.type} | {default} | {field.help.replace('|', chr(92) + '|')} |")
        if len(rows) > 2:
            parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def test_the_tables_of_keys_are_those_of_the_classes():
    page = ROOT / "docs" / "experiment.md"
    before, _, rest = page.read_text().partition("<!-- keys -->\n")
    _, _, after = rest.partition("<!-- end of keys -->")
    wanted = f"{before}<!-- keys -->\n{key_tables()}<!-- end of keys -->{after}"
    if os.environ.get("XPM_CE_UPDATE_DOCS"):
        page.write_text(wanted)
    assert page.read_text() == wanted


def table_of_measures() -> str:
    """Every measure that there is, as Markdown."""
    rows = ["| measure | cutoff | `rel` | value |", "|---|---|---|---|"]
    for row in MEASURES.values():
        rows.append(f"| `{row.name}` | {row.cutoff} | {'allowed' if row.takes_rel else 'none'} | {row.sentence} |")
    return "\n".join(rows) + "\n"


def test_the_table_of_measures_is_that_of_the_code():
    page = ROOT / "docs" / "measures.md"
    before, _, rest = page.read_text().partition("<!-- measures -->\n")
    _, _, after = rest.partition("<!-- end of measures -->")
    wanted = f"{before}<!-- measures -->\n{table_of_measures()}<!-- end of measures -->{after}"
    if os.environ.get("XPM_CE_UPDATE_DOCS"):
        page.write_text(wanted)
    assert page.read_text() == wanted


@pytest.mark.pipeline
def test_the_example_of_reading_values_per_query_works(tiny_workspace, monkeypatch):
    (example,) = [code for comment, code in blocks(ROOT / "docs" / "measures.md", "python") if "per query" in comment]
    monkeypatch.chdir(next(tiny_workspace.glob("jobs/xpm_ce.evaluate.measure/*")))
    names: dict = {}
    exec(example, names)
    assert list(names["values"].columns) == ["query_id", "nDCG@10|20|given"]
    assert len(names["values"]) == 16


def test_every_section_is_documented():
    text = (ROOT / "docs" / "experiment.md").read_text()
    for section in (*SECTIONS, *OTHER_SECTIONS):
        assert re.search(rf"^{section} ", text, re.MULTILINE), section


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """(comment above, content) of the fenced blocks of one language."""
    pattern = rf"(?:<!-- ([^>]*) -->\n)?```{language}\n(.*?)```"
    return [(match[1] or "", match[2]) for match in re.finditer(pattern, page.read_text(), re.DOTALL)]


def commands() -> list[str]:
    """Every shell command of the documentation and of the experiments' comments, once."""
    found = []
    for page in PAGES:
        for _, block in blocks(page, "sh"):
            found += [line.partition("  #")[0].strip() for line in block.splitlines()]
    for file in sorted((ROOT / "experiments").glob("**/*.yaml")):
        for line in file.read_text().splitlines():
            if match := re.match(r"#   ((?:xpm-ce|experimaestro) .*)", line):
                found.append(match[1])
    for page in PAGES:
        found += re.findall(r"`((?:xpm-ce|experimaestro) [a-z-]+ [^`]*)`", page.read_text())
    return sorted({command for command in found if command})


SET_UP = {"make quickstart", "make test", "make test-slurm"}
"""Commands that set up an environment: CI runs them from a clean clone"""


@pytest.fixture(scope="module")
def plan_long_study(run_command, tmp_path_factory):
    """Plan a study that would train for hours, on a small collection of its format; each is planned once."""
    from studies import small_collection

    folder = tmp_path_factory.mktemp("collection")
    small_collection(folder)

    @functools.cache
    def plan(*words: str):
        own = [f"collection.path={folder}" if word.startswith("collection.path") else word for word in words]
        return run_command("xpm-ce", "plan", *own, XPM_CE_WORKDIR=str(folder / "workspace"))

    return plan


def interrupted(*words: str) -> subprocess.CompletedProcess[str]:
    """What a command that goes on until Ctrl-C has printed, interrupted after its first line."""
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(command, process.returncode if first else 1, first + rest, errors)


@pytest.mark.pipeline
@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_documentation_works(command, tiny_workspace, run_command, plan_long_study, tmp_path):
    """On the tiny study in its finished workspace; SciFact and the recipes, which train for hours, are planned only."""
    if command in SET_UP:
        assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        return
    if re.search(r"FILE|\.\.\.|RUN\b", command):
        pytest.skip("a pattern with placeholders, not a command")
    words = shlex.split(command)
    words[0] = Path(words[0]).name
    if "--workdir" in words:
        del words[words.index("--workdir") : words.index("--workdir") + 2]
    long = [word for word in words if re.fullmatch(r"experiments/(scifact|\w+/\w+)\.yaml", word)]
    if long and words[1] not in ("diff", "verify"):
        process = plan_long_study(*words[words.index(long[0]) :])
    else:
        words = [str(TINY) if word == "experiments/quickstart.yaml" else word for word in words]
        learners = sorted(path.name for path in tiny_workspace.glob("jobs/xpm_ce.learn.learner/*"))
        stand_for = {"quickstart": "tiny", "A": learners[0], "B": learners[1]}
        words = [stand_for.get(word, word) for word in words]
        words = [str(tmp_path / word) if word.startswith("exported/") else word for word in words]
        if any(word.startswith("collection.seed") for word in words):  # another collection: planned, not run
            words[words.index("run")] = "plan"
        if words[1] == "plot":
            words += ["--output", str(tmp_path)]
        if words[1] == "monitor" or "--watch" in words:
            process = interrupted(
                *words, "--workdir", str(tiny_workspace), *(["--port", "0"] if words[1] == "monitor" else [])
            )
        else:
            process = run_command(*words, "--workdir", tiny_workspace)
    assert process.returncode == 0, process.stdout + process.stderr


def test_the_python_example_of_the_readme_declares_the_quickstart(tmp_path):
    (example,) = [code for comment, code in blocks(ROOT / "README.md", "python") if comment == "example: python"]
    assert len([line for line in example.splitlines() if line.strip()]) <= 25
    declaration, run, _ = example.rpartition("tables = experiment.run(")
    assert run
    names: dict = {}
    exec(declaration, names)
    plan = names["experiment"].plan(tmp_path)
    yaml_plan = prepare(
        Configuration(Study.load(ROOT / "experiments" / "quickstart.yaml")), Workspace(tmp_path / "other")
    ).plan
    assert {job.identity for job in plan.jobs} == {job.identity for job in yaml_plan.jobs}


@pytest.mark.pipeline
def test_the_example_of_loading_a_model_works(tiny_workspace, monkeypatch):
    (example,) = [code for _, code in blocks(ROOT / "README.md", "python") if "xpm_ce.load" in code]
    checkpoint = next(tiny_workspace.glob("jobs/xpm_ce.learn.learner/*/checkpoint"))
    names: dict = {}
    exec(example.replace("path/to/checkpoint", str(checkpoint)), names)
    assert len(names["model"].rank("a query", ["a document", "another document"])) == 2


@pytest.mark.pipeline
def test_the_loss_of_the_extension_page_trains(workspace_copy, run_command, tmp_path):
    page = ROOT / "docs" / "extend.md"
    ((_, code),) = [block for block in blocks(page, "python") if block[0] == "file: focal.py"]
    ((_, text),) = [block for block in blocks(page, "yaml") if block[0] == "yaml: focal"]
    (tmp_path / "focal.py").write_text(code)
    study = {**yaml.safe_load(TINY.read_text()), **yaml.safe_load(text)}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    process = run_command("xpm-ce", "run", tmp_path / "study.yaml", "--workdir", workspace_copy)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "| focal " in process.stdout
    assert "6 jobs run, 11 reused" in process.stdout  # without the seed axis, InfoNCE is trained anew too


RESULTS = sorted((ROOT / "docs" / "results").glob("*.json"))


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_the_tables_of_results_are_those_of_their_files(file):
    text = (ROOT / "docs" / "results.md").read_text()
    shown = re.search(rf"<!-- results: {file.stem} -->\n(.*?)<!-- end of results -->", text, re.DOTALL)
    assert shown, f"docs/results.md does not show {file.name}"
    table = json.loads(file.read_text())["tables"][0]
    rows = {line.split("|")[1].strip(): line for line in shown[1].splitlines() if line.startswith("|")}
    assert len(table["cells"]) >= 5
    for row, cells in table["cells"].items():
        for cell in cells.values():
            assert f"{100 * cell['mean']:.1f}" in rows[row]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_promised_of_the_quickstart_holds_in_its_recorded_results(seed):
    """The whole quickstart takes minutes, so its results are recorded; `make quickstart` makes them again."""
    recorded = json.loads((ROOT / "docs" / "results" / f"quickstart-seed{seed}.json").read_text())
    cells = {
        row: {column: cell["mean"] for column, cell in by_column.items()}
        for row, by_column in recorded["tables"][0]["cells"].items()
    }
    for backbone in ("BERT", "ModernBERT"):
        bm25 = cells["BM25"][backbone]
        assert 0.30 <= bm25 <= 0.60
        assert bm25 >= 2.5 * cells["BM25, random order of its documents"][backbone]
        assert cells["BM25, best order of its documents"][backbone] >= 0.80
        assert cells["untrained"][backbone] < bm25
        assert cells["InfoNCE"][backbone] >= bm25 + 0.10
        assert cells["MarginMSE"][backbone] >= bm25 + 0.10
    assert not recorded["missing"]


def test_the_readme_shows_the_table_of_the_quickstart():
    table = json.loads((ROOT / "docs" / "results" / "quickstart-seed0.json").read_text())["tables"][0]
    text = (ROOT / "README.md").read_text()
    shown = text[text.index("<!-- table: quickstart -->") : text.index("<!-- end of table -->")]
    assert all(f"{100 * cell['mean']:.1f}" in shown for cells in table["cells"].values() for cell in cells.values())


def test_the_pictures_of_the_quickstart_show_its_recorded_results():
    recorded = json.loads((ROOT / "docs" / "results" / "quickstart-seed0.json").read_text())["tables"][0]["cells"]
    with open(ROOT / "docs" / "plots" / "heat-map-test-nDCG@10.csv") as stream:
        drawn = {(line["row"], line["column"]): float(line["mean"]) for line in csv.DictReader(stream)}
    assert len(drawn) == 12
    for (row, column), mean in drawn.items():
        assert mean == pytest.approx(recorded[row][column]["mean"], abs=1e-12)
    with open(ROOT / "docs" / "plots" / "forest-test-nDCG@10.csv") as stream:
        for line in csv.DictReader(stream):
            row, column = line["system"].split(", ")
            difference = recorded[row][column]["mean"] - recorded["BM25"][column]["mean"]
            assert float(line["difference_to_BM25"]) == pytest.approx(difference, abs=1e-12)


def test_the_launchers_file_of_the_cluster_page_places_every_kind_of_job(tmp_path):
    page = ROOT / "docs" / "cluster.md"
    (text,) = [text for comment, text in blocks(page, "yaml") if comment == "file: launchers.yaml"]
    (tmp_path / "launchers.yaml").write_text(text)
    launchers = read_launchers(tmp_path / "launchers.yaml")
    plan = prepare(Configuration.load(TINY, launchers=tmp_path / "launchers.yaml"), Workspace(tmp_path / "ws")).plan
    machines = {job.kind: place(launchers, job.kind, job.config).name for job in plan.jobs}
    assert {kind for kind, machine in machines.items() if machine == "gpu"} == {"learn", "rerank"}
    assert set(machines.values()) == {"cpu", "gpu"}


def test_the_recorded_output_of_the_tests_on_slurm_is_of_tests_that_there_are():
    text = (ROOT / "docs" / "cluster.md").read_text()
    recorded = text[text.index("<!-- output of make test-slurm -->") :].split("```")[1]
    tests = re.findall(r"^def (test_\w+)", (ROOT / "tests" / "slurm" / "test_slurm.py").read_text(), re.MULTILINE)
    passed = set(re.findall(r"::(test_\w+)\S* PASSED", recorded))
    assert passed <= set(tests)
    assert len(passed) >= 9
    assert re.search(r"\d+ passed", recorded)
    assert not re.search(r"\d+ (failed|skipped)", recorded)


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_in_the_documentation_is_read_by_our_reader(page, tmp_path):
    for _, text in blocks(page, "yaml"):
        file = tmp_path / "block.yaml"
        file.write_text(text)
        assert load(file).root.nodes
