"""Whether judgements and a document store belong together.

This module does not know where either comes from.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from xpm_ce.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from xpm_ce.data.stored_documents import StoredDocuments

COUNT, REFUSE = "count", "refuse"
POLICIES = (COUNT, REFUSE)
"""What to do about judgements of documents that the store does not hold"""


class JudgedCounts(NamedTuple):
    """What was found when judgements were looked up in a store."""

    queries: int
    """Queries with a judgement"""
    judgements: int
    """Judgements, of any grade"""
    unknown_documents: int
    """Judgements of documents that the store does not hold"""
    unknown_relevant: int
    """Those among them with a grade above 0: no ranking can find them, so measures stay below their maximum"""


def check_judged(
    qrels: Mapping[str, Mapping[str, int]], store: "StoredDocuments", *, policy: str = COUNT, where: str = ""
) -> JudgedCounts:
    """Count the judgements of documents that the store does not hold; DataError for one under the policy "refuse"."""
    if policy not in POLICIES:
        raise ConfigurationError(f"unknown policy {policy!r}", remedy=f"Policies are {', '.join(POLICIES)}.")
    documents = list(dict.fromkeys(document_id for grades in qrels.values() for document_id in grades))
    strangers = {documents[place] for place in (store.known_rows(documents) < 0).nonzero()[0].tolist()}
    found = [
        (query_id, document_id, grade)
        for query_id, grades in (qrels.items() if strangers else ())
        for document_id, grade in grades.items()
        if document_id in strangers
    ]
    unknown, relevant = len(found), sum(grade > 0 for _, _, grade in found)
    if unknown and policy == REFUSE:
        query_id, document_id, _ = found[0]
        raise DataError(
            f"{unknown} judged documents are not in the collection, the first is document {document_id} of query "
            f"{query_id}",
            where=where,
            remedy='Use the judgements of this collection, or the policy "count".',
        )
    return JudgedCounts(len(qrels), sum(map(len, qrels.values())), unknown, relevant)
