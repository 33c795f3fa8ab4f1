"""The model card: a README.md that the hub reads, written from what is known and from nothing else.

What is not known is left out or said to be unknown. This module computes no number and reads no file.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import yaml

from xpm_ce.publish.evidence import EvaluationRow
from xpm_ce.publish.history import History
from xpm_ce.publish.parity import ParityReport
from xpm_ce.publish.snippets import snippets

TAGS = ["sentence-transformers", "cross-encoder", "reranker", "xpm-ce"]
LEDGER = (
    "steps", "queries", "documents", "tokens", "epochs", "queries_per_step", "documents_per_step", "truncation_rate",
    "query_truncation_rate", "initial_head", "precision", "precision_used", "device", "processes", "threads", "seconds",
    "peak_memory_mib", "last_loss", "resumptions",
)  # fmt: skip
"""Fields of the ledger that the card shows, in this order; the whole is in ledger.json"""

CITATION = """@misc{xpm-ce,
  title = {xpm-ce: a typed experiment manager for neural re-ranking},
  note = {Version VERSION}
}"""


@dataclasses.dataclass(frozen=True)
class Training:
    """Where a model comes from."""

    identity: str
    """Of the learner"""

    rule: str
    """Which step was kept"""

    step: int | None
    """Its number"""

    place: str
    """Where the learner stands in its study: loss=InfoNCE seed=1"""

    ledger: dict[str, Any]
    """What the training has seen and cost"""

    command: str | None = None
    """The command that trains it; None where the plan is gone"""

    resolved: str | None = None
    """The YAML of this learner alone, with all that was imported and overridden"""


@dataclasses.dataclass(frozen=True)
class Card:
    """All that a card says."""

    name: str
    """How the model is loaded: a repository of the hub, or a folder"""

    model_type: str
    """Family, as config.json names it"""

    parameters: int
    max_length: int
    max_query_length: int
    shown: Sequence[float]
    """Scores of `snippets.SHOWN`"""

    parity: ParityReport
    history: History
    evaluation: Sequence[EvaluationRow]
    training: Training | None
    version: str
    """Of xpm-ce"""

    language: str | None = None
    licence: str | None = None

    def render(self) -> str:
        """The card as Markdown with its front matter."""
        parts = [
            self._front_matter(), self._head(), self._usage(), self._evaluation(), self._training(), self._parity(),
            self._limits(), self._citations(),
        ]  # fmt: skip
        return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"

    def metadata(self) -> dict[str, Any]:
        """What the front matter holds: the hub's keys."""
        licence = self.licence or self.history.licence
        return {
            "library_name": "sentence-transformers",
            "pipeline_tag": "text-ranking",
            **({"language": [self.language]} if self.language else {}),
            **({"license": licence.lower()} if licence else {}),
            **({"base_model": self.history.backbone} if self.history.backbone else {}),
            **({"datasets": list(self.history.data_sets)} if self.history.data_sets else {}),
            "tags": TAGS,
            **({"model-index": [self._model_index()]} if self.evaluation else {}),
        }

    def _front_matter(self) -> str:
        text = yaml.safe_dump(self.metadata(), sort_keys=False, allow_unicode=True, default_flow_style=False)
        return f"---\n{text}---"

    def _model_index(self) -> dict[str, Any]:
        """One result for each protocol and depth, as the hub shows it."""
        results: dict[tuple[str, int], dict[str, Any]] = {}
        for row in self.evaluation:
            result = results.setdefault(
                (row.protocol, row.depth),
                {
                    "task": {"type": "text-ranking", "name": f"re-ranking of {row.first_stage}, depth {row.depth}"},
                    "dataset": {"name": row.protocol, "type": row.protocol},
                    "metrics": [],
                },
            )
            result["metrics"].append({"type": row.measure, "value": row.mean, "name": row.measure})
        return {"name": self.name, "results": list(results.values())}

    def _head(self) -> str:
        base = f" from [{self.history.backbone}](https://huggingface.co/{self.history.backbone})" * bool(
            self.history.backbone
        )
        trained = f", trained{base} with {self.history.loss}" if self.history.loss else ""
        return (
            f"# {self.name}\n\nA cross-encoder ({self.model_type}, {self.parameters / 1e6:.1f} M parameters){trained}: "
            "it reads a query and a document together and gives one score, without an activation. Higher is more "
            "relevant; scores order the documents of one query and have no other scale.\n\n"
            f"Pairs of up to {self.max_length} tokens, special tokens included; the document is cut."
        )

    def _usage(self) -> str:
        blocks = [f"With {each.library}:\n\n```python\n{each.code}```" for each in snippets(self.name, self.shown)]
        return "\n\n".join(["## Usage", *blocks])

    def _evaluation(self) -> str:
        if not self.evaluation:
            return "## Evaluation\n\nNo result of this model was there when it was exported."
        head = [
            "protocol", "first stage", "depth", "measure", "queries", "first stage alone", "this model", "interval",
            "over seeds",
        ]  # fmt: skip
        lines = [head, ["---"] * len(head)]
        for row in self.evaluation:
            spread = row.over_seeds
            lines.append([
                row.protocol, row.first_stage, str(row.depth), row.measure, str(row.queries),
                _hundredfold(row.first_stage_mean), _hundredfold(row.mean),
                "–" if row.interval is None else f"{100 * row.interval[0]:.1f} to {100 * row.interval[1]:.1f}",
                "one seed" if spread is None
                else f"{100 * spread[0]:.1f} ± {100 * spread[1]:.1f} ({len(row.seeds)} seeds)",
            ])  # fmt: skip
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return (
            f"## Evaluation\n\nMeans over queries x 100. The first `depth` documents of the first stage are re-ranked; "
            f"± is the sample standard deviation over seeds, the interval that "
            f"of the mean over other queries (95 %, BCa bootstrap).\n\n{table}"
        )

    def _training(self) -> str:
        if self.training is None:
            return "## Training\n\nThis model was not trained by xpm-ce, or its history is not at hand."
        training, ledger = self.training, self.training.ledger
        kept = {"last": "of the last step", "best": "of the best validation"}[training.rule]
        parts = [
            "## Training",
            f"Learner `{training.identity}`"
            + (f" ({training.place})" if training.place else "")
            + f", weights {kept}"
            + (f" (step {training.step})." if training.step is not None else "."),
        ]
        if training.command:
            parts.append(f"```sh\n{training.command}\n```")
        shown = [(name, ledger[name]) for name in LEDGER if name in ledger]
        rows = "\n".join(f"| {name} | {_value(value)} |" for name, value in shown)
        parts.append(
            f"What it has seen and cost (the whole is in `ledger.json`):\n\n| field | value |\n|---|---|\n{rows}"
        )
        versions = ", ".join(f"{name} {version}" for name, version in ledger["environment"]["packages"].items())
        parts.append(f"Computed with {versions}, on {ledger['environment']['processor']}.")
        if training.resolved:
            parts.append(
                "The configuration of this model alone, with what was imported and overridden:\n\n"
                f"```yaml\n{training.resolved}```"
            )
        return "\n\n".join(parts)

    def _parity(self) -> str:
        report = self.parity
        lines = ["| library | version | largest difference of a score | Kendall's tau |", "|---|---|---|---|"]
        for each in report.libraries:
            if each.version is None:
                lines.append(f"| {each.library} | not installed at export: not compared | – | – |")
            else:
                lines.append(
                    f"| {each.library} | {each.version} | {each.max_difference:.1e} | {each.kendall_tau:.6f} |"
                )
        of = (
            "random words of the vocabulary"
            if report.drawn == report.pairs
            else "the evaluation's own"
            if not report.drawn
            else f"{report.drawn} random words of the vocabulary, the others the evaluation's own"
        )
        low, high = report.score_range
        return (
            f"## The same scores elsewhere\n\n{report.pairs} pairs ({of}), scored here and by each library in fp32 on "
            f"a processor; scores were between {low:.3f} and {high:.3f}.\n\n" + "\n".join(lines)
        )

    def _limits(self) -> str:
        return (
            "## Limits\n\n"
            f"- xpm-ce cuts queries to {self.max_query_length} tokens before it cuts the document; other libraries cut "
            "the longer of the two texts. Pairs with a longer query score differently there.\n"
            "- Numbers hold for the first stage, the depth and the protocol they stand beside.\n"
            "- In bf16 or fp16, close scores become ties."
        )

    def _citations(self) -> str:
        own = CITATION.replace("VERSION", self.version)
        return "## Citation\n\n```bibtex\n" + "\n\n".join([*self.history.citations, own]) + "\n```"


def _hundredfold(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
