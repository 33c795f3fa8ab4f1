"""Collections of datamaestro-ir: `id: org.beir.scifact` with the split `test`.

Files that were put by hand below $DATAMAESTRO_DIR are adopted by that library without any checksum, and the folder
they came in is deleted once it has built its own store: put copies there. Its number of documents may be a constant;
therefore jobs count themselves. This module does not know which collections are registered.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xpm_ce.data.need import Standing
from xpm_ce.data.parts import DocumentRecord
from xpm_ce.data.registered import DATAMAESTRO
from xpm_ce.data.source import SourceCollection, SourceDocuments, SourceQrels, SourceQueries

FAMILIES = {
    "co.huggingface.nano-beir": 1, "com.microsoft.msmarco.passage": 0, "com.microsoft.msmarco.passagev2": 0,
    "edu.stanford.lotte": 0, "org.beir": 1,
}  # fmt: skip
"""Families of data sets, and how many more parts of an id name the folder of one of them"""


def load(identifier: str) -> Any:
    """The data set of an id, made ready; downloads what is missing."""
    from datamaestro import prepare_dataset

    return prepare_dataset(identifier, download=True)


def obtain(identifier: str) -> str:
    """How to obtain a data set."""
    return (
        f"Where there is a network, run `datamaestro prepare {identifier}`; "
        "then set DATAMAESTRO_DIR to the folder that it filled (~/datamaestro by default)."
    )


def standing(identifier: str) -> Standing:
    """Whether there is any file of the data set that an id is of; where there is, only the library can tell more."""
    family = next((family for family in FAMILIES if identifier.startswith(f"{family}.")), None)
    if family is None:
        return Standing.UNKNOWN
    return folder_standing(".".join(identifier.split(".")[: family.count(".") + 1 + FAMILIES[family]]))


def folder_standing(identifier: str) -> Standing:
    """Whether there is any file in the folder of an id; where there is, only the library can tell more."""
    home = Path(os.environ.get("DATAMAESTRO_DIR") or Path.home() / "datamaestro")
    folder = home.joinpath("data", "ir", *identifier.split("."))
    return Standing.UNKNOWN if any(path.is_file() for path in folder.rglob("*")) else Standing.ABSENT


class DatamaestroDocuments(SourceDocuments):
    """The documents of a datamaestro id, or of the task that it names."""

    __xpmid__ = "xpm_ce.data.datamaestro.documents"

    def raw(self) -> Iterator[DocumentRecord]:
        dataset = load(self.id)
        for document in getattr(dataset, "documents", dataset).iter():
            item = document["text_item"]
            title, body = getattr(item, "title", None), getattr(item, "body", None)
            if title is None or body is None:
                title, body = "", item.text
            yield DocumentRecord(document["id"], title, body)

    def remedy(self) -> str:
        return obtain(self.id)

    def standing(self) -> Standing:
        return standing(self.id)


class DatamaestroQueries(SourceQueries):
    """The queries of the task that a datamaestro id names."""

    __xpmid__ = "xpm_ce.data.datamaestro.queries"

    def raw(self) -> Iterator[tuple[str, str]]:
        for query in load(self.id).topics.iter():
            yield query["id"], query["text_item"].text

    def remedy(self) -> str:
        return obtain(self.id)

    def standing(self) -> Standing:
        return standing(self.id)


class DatamaestroQrels(SourceQrels):
    """The judgements of the task that a datamaestro id names."""

    __xpmid__ = "xpm_ce.data.datamaestro.qrels"

    def raw(self) -> Iterator[tuple[str, str, int]]:
        for topic in load(self.id).assessments.iter():
            for judgement in topic.assessments:
                yield topic.topic_id, judgement.doc_id, int(judgement.rel)

    def remedy(self) -> str:
        return obtain(self.id)

    def standing(self) -> Standing:
        return standing(self.id)


class Datamaestro(SourceCollection):
    """A collection by its prefix in datamaestro; the id of a split is the prefix, a dot and its name."""

    __xpmid__ = "xpm_ce.data.datamaestro"
    NAME = "datamaestro"
    REGISTERED = DATAMAESTRO
    DOCUMENTS, QUERIES, QRELS = DatamaestroDocuments, DatamaestroQueries, DatamaestroQrels

    def join(self, split: str) -> str:
        return f"{self.id}.{split}"
