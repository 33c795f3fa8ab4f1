"""The first stages of protocols: who retrieves the documents that are re-ranked, with every setting that matters.

A first stage is a row. This module does not know how retrieval is computed.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

RETRIEVED = 1000
"""Documents that a first stage retrieves for every query; a protocol re-ranks the first so many of them"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstStage:
    """Who retrieves."""

    name: str
    """Name in the id of a protocol"""
    title: str
    """Name in tables"""
    section: Mapping[str, object]
    """Its section `first_stage` in YAML"""
    source: str
    """Where the settings come from"""


FIRST_STAGES = {
    row.name: row
    for row in (
        FirstStage(
            name="bm25",
            title="BM25",
            section=MappingProxyType({"type": "bm25", "k1": 0.9, "b": 0.4, "depth": RETRIEVED}),
            source="Lucene's variant with Anserini's default parameters, as the published BEIR and MS MARCO baselines",
        ),
        FirstStage(
            name="splade",
            title="SPLADE-v3-distilbert",
            section=MappingProxyType({"type": "splade", "max_length": 256, "depth": RETRIEVED}),
            source="naver/splade-v3-distilbert (arXiv 2403.06789), queries and documents of at most 256 tokens",
        ),
    )
}
"""The first stages by name"""
