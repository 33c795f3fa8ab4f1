"""The judged sets of queries that protocols measure on: one row each, with the policies that its figures are made by.

How many queries, judgements and documents each must have stands in `xpm_ce/data/registered.py`, under the ids given
here. This module does not know what is retrieved, nor how anything is read or measured.
"""

import dataclasses
from typing import NamedTuple


class Place(NamedTuple):
    """Where a library of data has a set."""

    collection: str
    """Id of the collection"""
    split: str
    """Name of the split in our registry; joined to the collection it is the id of queries and judgements"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class JudgedSet:
    """Queries with judgements on a collection, and how they are measured."""

    name: str
    """Name in the id of a protocol"""
    abbreviation: str
    """Head of a column in tables"""
    title: str
    """What it is, for people"""
    ir_datasets: Place
    """Where ir_datasets has it"""
    datamaestro: Place | None
    """Where datamaestro has the same; None where it has not"""
    measures: tuple[str, ...]
    """Measures, in the spelling of ir-measures; the first is the one of tables"""
    averages: tuple[str, ...] = ()
    """Averages that it may enter"""
    ignore_identical_ids: bool = False
    """Whether a document whose id is the query's is left out of every ranking (BEIR's rule)"""
    relevance: int = 1
    """Lowest grade that measures with two grades count as relevant"""
    note: str = ""
    """What a reader of its figures must know"""


TIES = "first stage"
"""How documents of equal score stand, in every protocol: in the order of the first stage, and there by document id.
Runs are written with strictly decreasing scores, so that no evaluator orders them otherwise"""

_DL_MEASURES = ("nDCG@10", "RR(rel=2)", "AP(rel=2)")
"""Grade 1 of TREC Deep Learning is "related", which does not answer the query: measures of two grades begin at 2"""
_STUDY = "All 22"
"""Average over the sets of the cross-encoder study (arXiv 2603.03010)"""


def _deep_learning(year: int, *, averages: tuple[str, ...] = (), datamaestro: Place, note: str = "") -> JudgedSet:
    collection = "msmarco-passage" if year <= 2020 else "msmarco-passage-v2"
    return JudgedSet(
        name=f"dl{year % 100}",
        abbreviation=f"DL{year % 100}",
        title=f"TREC Deep Learning {year}, passages, judged queries",
        ir_datasets=Place(collection, f"trec-dl-{year}/judged"),
        datamaestro=datamaestro,
        measures=_DL_MEASURES,
        averages=averages,
        relevance=2,
        note=note,
    )


def _beir(name: str, abbreviation: str, *, identifier: str = "", datamaestro: str = "", note: str = "") -> JudgedSet:
    identifier = identifier or name
    return JudgedSet(
        name=name,
        abbreviation=abbreviation,
        title=f"BEIR {identifier}, test queries",
        ir_datasets=Place(f"beir/{identifier}", "test"),
        datamaestro=Place(f"org.beir.{datamaestro or identifier.replace('-', '.').replace('/', '.')}", "test"),
        measures=("nDCG@10", "RR@10"),
        averages=("BEIR-13", _STUDY),
        ignore_identical_ids=True,
        note=note,
    )


def _lotte(topic: str) -> JudgedSet:
    return JudgedSet(
        name=f"lotte-{topic}",
        abbreviation=f"Lo-{topic[:3].capitalize()}",
        title=f"LoTTE {topic}, search queries, test",
        ir_datasets=Place(f"lotte/{topic}/test", "search"),
        datamaestro=Place(f"edu.stanford.lotte.{topic}.test", "search"),
        measures=("Success@5", "nDCG@10"),
        averages=("LoTTE", "OOD", _STUDY),
    )


def _nano(name: str, abbreviation: str) -> JudgedSet:
    return JudgedSet(
        name=f"nano-{name}",
        abbreviation=f"n{abbreviation}",
        title=f"NanoBEIR {name}: 50 queries on a part of the documents",
        ir_datasets=Place(f"nano-beir/{name}", "test"),
        datamaestro=Place(f"co.huggingface.nano-beir.{name}", "test"),
        measures=("nDCG@10", "nDCG", "RR@10"),
        averages=("NanoBEIR",),
        ignore_identical_ids=True,
        note="for validation: its queries are test queries of BEIR and of MS MARCO",
    )


_MS_MARCO, _MS_MARCO_2 = "com.microsoft.msmarco.passage", "com.microsoft.msmarco.passagev2"
_ALL_QUERIES = "datamaestro has the queries without judgement too; they are not measured"
_NANO_NAMES = {
    "arguana": "Ar", "climate-fever": "CF", "dbpedia-entity": "DB", "fever": "FE", "fiqa": "Fi", "hotpotqa": "HPQ",
    "msmarco": "MSM", "nfcorpus": "NFC", "nq": "NQ", "quora": "Q", "scidocs": "SD", "scifact": "SF",
    "webis-touche2020": "T",
}  # fmt: skip

ROWS = (
    JudgedSet(
        name="msmarco-dev",
        abbreviation="MSM",
        title="MS MARCO passages, dev/small",
        ir_datasets=Place("msmarco-passage", "dev/small"),
        datamaestro=Place(_MS_MARCO, "dev.small"),
        measures=("RR@10", "nDCG@10"),
        averages=("ID", _STUDY),
    ),
    _deep_learning(2019, averages=("ID", _STUDY), datamaestro=Place(_MS_MARCO, "trec2019.judged")),
    _deep_learning(2020, averages=("ID", _STUDY), datamaestro=Place(_MS_MARCO, "trec2020.judged")),
    _deep_learning(2021, averages=("DL21-23",), datamaestro=Place(_MS_MARCO_2, "trec2021"), note=_ALL_QUERIES),
    _deep_learning(2022, averages=("DL21-23",), datamaestro=Place(_MS_MARCO_2, "trec2022"), note=_ALL_QUERIES),
    _deep_learning(2023, averages=("DL21-23",), datamaestro=Place(_MS_MARCO_2, "trec2023"), note=_ALL_QUERIES),
    _beir("arguana", "Ar", note="every query is a document of the collection, which is left out"),
    _beir("climate-fever", "CF"),
    _beir("dbpedia-entity", "DB"),
    _beir("fever", "FE"),
    _beir("fiqa", "Fi"),
    _beir("hotpotqa", "HPQ"),
    _beir("nfcorpus", "NFC"),
    _beir("nq", "NQ"),
    _beir("quora", "Q", note="queries are documents of the collection, which are left out"),
    _beir("scidocs", "SD"),
    _beir("scifact", "SF"),
    _beir("trec-covid", "T-C"),
    _beir(
        "touche2020-v2",
        "T-v2",
        identifier="webis-touche2020/v2",
        datamaestro="webis.touche2020.v2",
        note="version 2: 49 queries with judgements of its own; figures on version 1 are not comparable",
    ),
    _lotte("writing"),
    _lotte("recreation"),
    _lotte("science"),
    _lotte("technology"),
    _lotte("lifestyle"),
    JudgedSet(
        name="robust04",
        abbreviation="R04",
        title="TREC Robust 2004, titles as queries",
        ir_datasets=Place("disks45/nocr", "trec-robust-2004"),
        datamaestro=None,
        measures=("nDCG@10", "nDCG@20", "AP"),
        averages=("OOD", _STUDY),
        note="249 of the 250 queries have judgements; gov.nist.trec.adhoc.robust.2004 of datamaestro reads title and "
        "description, which is another query",
    ),
    *(_nano(name, abbreviation) for name, abbreviation in _NANO_NAMES.items()),
)

JUDGED_SETS = {row.name: row for row in ROWS}
"""The judged sets by name"""
