"""The usage snippets of a model card: what a reader copies, and the scores that come out.

This module does not compute the scores.
"""

import dataclasses
from collections.abc import Sequence

QUERY = "capital of France"
DOCUMENTS = (
    "Paris is the capital of France, and its largest city.",
    "Berlin is the capital of Germany.",
    "A cross-encoder reads a query and a document together.",
)
SHOWN = [(QUERY, document) for document in DOCUMENTS]
"""The pairs whose scores are printed"""

DECIMALS = 4


@dataclasses.dataclass(frozen=True)
class Snippet:
    """A piece of Python and the library that it needs."""

    library: str
    code: str


def snippets(name: str, scores: Sequence[float]) -> list[Snippet]:
    """The snippets of a model that is loaded by `name`; `scores` `[3]` are those of `SHOWN`."""
    printed = "# " + str([round(float(score), DECIMALS) for score in scores])
    texts = f'query = "{QUERY}"\ndocuments = [\n' + "".join(f'    "{text}",\n' for text in DOCUMENTS) + "]\n"
    return [
        Snippet(
            "sentence-transformers",
            "from sentence_transformers import CrossEncoder\n\n"
            f'model = CrossEncoder("{name}")\n{texts}'
            "scores = model.predict([(query, document) for document in documents])\n"
            f"print([round(float(score), {DECIMALS}) for score in scores])\n{printed}\n",
        ),
        Snippet(
            "transformers",
            "import torch\nfrom transformers import AutoModelForSequenceClassification, AutoTokenizer\n\n"
            f'tokenizer = AutoTokenizer.from_pretrained("{name}")\n'
            f'model = AutoModelForSequenceClassification.from_pretrained("{name}").eval()\n{texts}'
            "inputs = tokenizer([query] * len(documents), documents, padding=True, truncation=True, "
            'return_tensors="pt")\n'
            "with torch.inference_mode():\n    scores = model(**inputs).logits[:, 0]\n"
            f"print([round(float(score), {DECIMALS}) for score in scores])\n{printed}\n",
        ),
        Snippet(
            "rerankers",
            "from rerankers import Reranker\n\n"
            f'ranked = Reranker("{name}", model_type="cross-encoder").rank("{QUERY}", ["...", "..."])\n',
        ),
    ]
