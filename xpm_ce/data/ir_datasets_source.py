"""Collections of ir_datasets: `id: beir/scifact` with the split `test`, `id: msmarco-passage` with `dev/small`.

Files that were put by hand below $IR_DATASETS_HOME are adopted by that library without any checksum; therefore jobs
verify counts. This module does not know which collections are registered.
"""

from collections.abc import Iterator
from typing import Any

from xpm_ce.data.ir_datasets_files import DOCUMENTS, QRELS, QUERIES, home, licence, standing, told_by_checksums
from xpm_ce.data.need import Standing
from xpm_ce.data.parts import DocumentRecord
from xpm_ce.data.registered import IR_DATASETS
from xpm_ce.data.source import SourceCollection, SourceDocuments, SourceQrels, SourceQueries
from xpm_ce.errors import DataError

VERSION_FILE = "irds_version.txt"


def load(identifier: str) -> Any:
    """The data set of an id.

    DataError for a hand-made version file: ir_datasets deletes the collection beside one that ends with a newline.
    """
    folder = home()
    for part in identifier.split("/"):
        folder = folder / part
        version = folder / VERSION_FILE
        content = version.read_text() if version.is_file() else ""
        if content != content.strip():
            raise DataError(
                f"ir_datasets would delete the collection, because {VERSION_FILE} does not hold exactly its version",
                where=str(version),
                remedy=f"Write it without a newline: printf {content.strip()} > {version}",
            )
        if (folder / "collection.tsv").is_file() and not content:
            raise DataError(
                f"ir_datasets would delete the collection, because there is no {VERSION_FILE} beside it",
                where=str(folder),
                remedy=f"Write it without a newline: printf v2 > {version}",
            )
    import ir_datasets

    return ir_datasets.load(identifier)


def obtain(identifier: str, kind: str) -> str:
    """How to obtain a part of a data set."""
    return licence(identifier, kind) or (
        f"Where there is a network, run `ir_datasets export {identifier} {kind} > /dev/null`; "
        "then set IR_DATASETS_HOME to the folder that it filled (~/.ir_datasets by default)."
    )


class IrDatasetsDocuments(SourceDocuments):
    """The documents of an ir_datasets id."""

    __xpmid__ = "xpm_ce.data.ir_datasets.documents"

    def raw(self) -> Iterator[DocumentRecord]:
        for document in load(self.id).docs_iter():
            title, text = getattr(document, "title", None), getattr(document, "text", None)
            if text is None:  # documents of other fields know how they read as one text
                title, text = "", document.default_text()
            yield DocumentRecord(document.doc_id, title or "", text)

    def remedy(self) -> str:
        return obtain(self.id, DOCUMENTS)

    def standing(self) -> Standing:
        return standing(self.id, DOCUMENTS)

    def checksums(self) -> str:
        return told_by_checksums(self.id, DOCUMENTS)

    @property
    def downloadable(self) -> bool:
        return licence(self.id, DOCUMENTS) is None


class IrDatasetsQueries(SourceQueries):
    """The queries of an ir_datasets id."""

    __xpmid__ = "xpm_ce.data.ir_datasets.queries"

    def raw(self) -> Iterator[tuple[str, str]]:
        for query in load(self.id).queries_iter():
            yield query.query_id, query.default_text()

    def remedy(self) -> str:
        return obtain(self.id, QUERIES)

    def standing(self) -> Standing:
        return standing(self.id, QUERIES)

    def checksums(self) -> str:
        return told_by_checksums(self.id, QUERIES)


class IrDatasetsQrels(SourceQrels):
    """The judgements of an ir_datasets id."""

    __xpmid__ = "xpm_ce.data.ir_datasets.qrels"

    def raw(self) -> Iterator[tuple[str, str, int]]:
        for judgement in load(self.id).qrels_iter():
            yield judgement.query_id, judgement.doc_id, judgement.relevance

    def remedy(self) -> str:
        return obtain(self.id, QRELS)

    def standing(self) -> Standing:
        return standing(self.id, QRELS)

    def checksums(self) -> str:
        return told_by_checksums(self.id, QRELS)


class IrDatasets(SourceCollection):
    """A collection by its id in ir_datasets; the id of a split is that of the collection, a slash and its name."""

    __xpmid__ = "xpm_ce.data.ir_datasets"
    NAME = "ir_datasets"
    REGISTERED = IR_DATASETS
    DOCUMENTS, QUERIES, QRELS = IrDatasetsDocuments, IrDatasetsQueries, IrDatasetsQrels

    def join(self, split: str) -> str:
        return f"{self.id}/{split}"
