"""Which files ir_datasets reads for a part of a data set, so that a plan can tell whether they are there.

The names are those of ir_datasets 0.6.3, which is not loaded: importing it takes time, and asking it may download.
"""

import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xpm_ce.data.need import Standing

DOCUMENTS, QUERIES, QRELS = "docs", "queries", "qrels"
"""Parts, as the library's command line names them"""

Alternatives = list[tuple[str, ...]]
"""Sets of files, each of which suffices; a pattern stands for any file that fits it"""

DISKS_45 = ("disks45/corpus/**/FBIS/FB*", "disks45/corpus/**/FR94/??/FR*", "disks45/corpus/**/FT/*/FT*",
            "disks45/corpus/**/LATIMES/LA*")  # fmt: skip
"""The four sources of Robust04's collection, as their owner's disks name them"""

LICENSED = {
    "disks45": "The collection is licensed by NIST: https://trec.nist.gov/data/cd45/index.html says how to get it. Put "
    "its uncompressed folders FBIS, FR94, FT and LATIMES below {home}/disks45/corpus.",
}
"""Families whose documents nothing downloads, and what to do about them"""


def home() -> Path:
    """The folder that ir_datasets fills."""
    return Path(os.environ.get("IR_DATASETS_HOME") or Path.home() / ".ir_datasets")


def standing(identifier: str, part: str) -> Standing:
    """Whether a part of a data set is on this disk; UNKNOWN for a family that is not listed here."""
    family, _, name = identifier.partition("/")
    if family not in _FAMILIES:
        return Standing.UNKNOWN
    here = any(all(_there(file) for file in files) for files in _FAMILIES[family](name, part))
    return Standing.HERE if here else Standing.ABSENT


def licence(identifier: str, part: str) -> str | None:
    """How to obtain documents that nothing downloads; None for all else."""
    remedy = LICENSED.get(identifier.partition("/")[0]) if part == DOCUMENTS else None
    return remedy.format(home=home()) if remedy is not None else None


def told_by_checksums(identifier: str, part: str) -> str:
    """What the checksums say that the library has on record for the files of a part that are here; "" for none.

    The library compares them when it downloads, never again, and not for files that were put there by hand.
    """
    family, _, name = identifier.partition("/")
    if family not in _FAMILIES:
        return ""
    known = {f"{family}/{row.get('cache_path')}": row.get("expected_md5") for row in _downloads()[family].values()}
    told = []
    for file in sorted({file for files in _FAMILIES[family](name, part) for file in files if known.get(file)}):
        if _there(file):
            same = _md5(home() / file, (home() / file).stat().st_mtime_ns) == known[file]
            told.append(f"{Path(file).name} has {'the checksum' if same else 'another checksum than'} on record")
    return "; ".join(told)


@functools.cache
def _downloads() -> dict[str, dict[str, dict[str, Any]]]:
    """What the installed library may download, from its own file."""
    found = importlib.util.find_spec("ir_datasets")
    assert found is not None, "ir_datasets is a dependency"
    assert found.submodule_search_locations
    read = json.loads((Path(found.submodule_search_locations[0]) / "etc" / "downloads.json").read_text())
    return dict(read)


@functools.cache
def _md5(path: Path, _changed: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _there(file: str) -> bool:
    """Whether a file, or one that fits a pattern, is there and not empty."""
    if "*" in file:
        return any(path.is_file() for path in home().glob(file))
    try:
        return (home() / file).stat().st_size > 0
    except OSError:
        return False


def _beir(name: str, part: str) -> Alternatives:
    first, _, last = name.rpartition("/")
    split = last if last in ("train", "dev", "test") else ""
    collection = first if split else name
    archive = ("cqadupstack" if collection.startswith("cqadupstack/") else collection) + "/source.zip"
    qrels = f"beir/{collection}/{split or 'test'}.qrels"
    extracted = {
        DOCUMENTS: (f"beir/{collection}/docs.pklz4/bin",),
        QUERIES: (f"beir/{collection}/queries.json", *([qrels] if split else [])),
        QRELS: (qrels,),
    }
    return [extracted[part], (f"beir/{archive}",)]


def _nano_beir(name: str, part: str) -> Alternatives:
    files = {DOCUMENTS: "corpus", QUERIES: "queries", QRELS: "qrels"}
    stored: Alternatives = [(f"nano-beir/{name}/docs.pklz4/bin",)] if part == DOCUMENTS else []
    return [(f"nano-beir/{name}/{files[part]}.parquet",), *stored]


def _lotte(name: str, part: str) -> Alternatives:
    topic, split, *kind = name.split("/")
    folder, kind_of_query = f"lotte/lotte_extracted/lotte/{topic}/{split}", kind[0] if kind else ""
    files = {
        DOCUMENTS: "collection.tsv",
        QUERIES: f"questions.{kind_of_query}.tsv",
        QRELS: f"qas.{kind_of_query}.jsonl",
    }
    return [(f"{folder}/{files[part]}",), ("lotte/lotte.tar.gz",)]


def _ms_marco(name: str, part: str) -> Alternatives:
    if part == DOCUMENTS:
        return [("msmarco-passage/collection.tsv",), ("msmarco-passage/collectionandqueries.tar.gz",)]
    split, judged = name.removesuffix("/judged"), name.endswith("/judged")
    qrels = f"msmarco-passage/{split}/qrels"
    if part == QRELS:
        archives: Alternatives = [("msmarco-passage/collectionandqueries.tar.gz",)] if split == "dev/small" else []
        return [(qrels,), *archives]
    filtered = (qrels,) if judged else ()
    texts: dict[str, Alternatives] = {
        "dev/small": [("dev/small/queries.tsv",), ("collectionandqueries.tar.gz",)],
        "trec-dl-2020": [("trec-dl-2020/queries.tsv.gz",)],
        "trec-dl-hard": [("trec-dl-2019/queries.tsv", "trec-dl-2020/queries.tsv")],
        "trec-dl-2019": [("trec-dl-2019/queries.tsv",)],
    }
    found = texts.get(split, [(f"{split}/queries.tsv",), ("queries.tar.gz",)])
    return [(*(f"msmarco-passage/{file}" for file in files), *filtered) for files in found]


def _ms_marco_2(name: str, part: str) -> Alternatives:
    if part == DOCUMENTS:
        return [("msmarco-passage-v2/msmarco_v2_passage.tar.extracted/msmarco_passage_*",),
                ("msmarco-passage-v2/msmarco_v2_passage.tar",)]  # fmt: skip
    split, folder = name.removesuffix("/judged"), f"msmarco-passage-v2/{name.removesuffix('/judged')}"
    qrels_names = {
        "trec-dl-2021": "qrels",
        "trec-dl-2022": "qrels.withDupes.txt",
        "trec-dl-2023": "qrels.withDupes.txt",
    }
    qrels = f"{folder}/{qrels_names.get(split, 'qrels.tsv')}"
    if part == QRELS:
        return [(qrels,)]
    return [(f"{folder}/queries.tsv", *([qrels] if name.endswith("/judged") else []))]


def _disks_45(name: str, part: str) -> Alternatives:
    if part == DOCUMENTS:
        return [("disks45/corpus.nocr.pklz4/bin",), DISKS_45]
    return [("disks45/04.testset.gz" if part == QUERIES else "disks45/qrels.robust2004.txt",)]


_FAMILIES: dict[str, Callable[[str, str], Alternatives]] = {
    "beir": _beir,
    "disks45": _disks_45,
    "lotte": _lotte,
    "msmarco-passage": _ms_marco,
    "msmarco-passage-v2": _ms_marco_2,
    "nano-beir": _nano_beir,
}
"""The files of each family of data sets that we know"""
