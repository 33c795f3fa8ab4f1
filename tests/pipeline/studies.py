"""Small studies and collections, plans of them made in this process, and what a plan would run."""

import json
from collections import Counter
from pathlib import Path

import yaml

from xpm_ce.experiment import Configuration, prepare
from xpm_ce.graph.plan import Plan
from xpm_ce.graph.planner import PlannedJob, State
from xpm_ce.workspace import Workspace

TINY = Path(__file__).parent.parent / "studies" / "tiny.yaml"


def plan_of(workspace: Path, *overrides: str, file: Path = TINY) -> Plan:
    return prepare(Configuration.load(file, overrides), Workspace(workspace)).plan


def to_run(plan: Plan) -> list[PlannedJob]:
    return [job for job in plan.jobs if job.state is State.RUN]


def kinds_to_run(plan: Plan) -> dict[str, int]:
    return dict(Counter(job.kind for job in to_run(plan)))


def arguments(*overrides: str) -> list[str]:
    """Overrides as a command takes them."""
    return [part for override in overrides for part in ("-c", override)]


def study(tmp_path: Path, **changes) -> Path:
    """The tiny study with some sections replaced, in a file of its own."""
    sections = {**yaml.safe_load(TINY.read_text()), **changes}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(sections, sort_keys=False))
    return file


def beir_folder(path: Path, *, documents: list[dict], queries: dict[str, str], qrels: dict[str, list[tuple]]) -> Path:
    """A folder in the BEIR layout."""
    (path / "qrels").mkdir(parents=True)
    (path / "corpus.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    lines = (json.dumps({"_id": query, "text": text}) + "\n" for query, text in queries.items())
    (path / "queries.jsonl").write_text("".join(lines))
    for split, rows in qrels.items():
        text = "".join(f"{query}\t{document}\t{grade}\n" for query, document, grade in rows)
        (path / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + text)
    return path


WORDS = ("red", "green", "blue", "black", "white", "brown", "pink", "grey")


def small_collection(path: Path, **changes) -> Path:
    """Eight documents, four training and four test queries, each about one of them."""
    documents = [
        {"_id": f"d{number}", "title": word, "text": f"a text about {word} things"} for number, word in enumerate(WORDS)
    ]
    queries = {f"q{number}": f"{word} things" for number, word in enumerate(WORDS)}
    judged = [(f"q{number}", f"d{number}", 1) for number in range(8)]
    content = {"documents": documents, "queries": queries, "qrels": {"train": judged[:4], "test": judged[4:]}}
    return beir_folder(path, **{**content, **changes})


def folder_study(tmp_path: Path, folder: Path, **changes) -> Path:
    sections = {
        "collection": {"type": "folder", "path": str(folder)}, "training_set": {"type": "mined"},
        "grid": {"learner.loss": ["infonce"]},
    }  # fmt: skip
    return study(tmp_path, **{**sections, **changes})
