"""Training data that others published, by name: which file, what it is known by, and what its columns are.

A study that names one plans without the file; the job compares its md5 with the one here. Counts are those that the
publishers or catalogues give, and None where nobody does: a file of the right md5 with other counts is only warned of.
The files carry ids of MS MARCO passages, so its terms (non-commercial research) hold for all of them; nothing is
shipped here. This module does not read any file but to hash it.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from xpm_ce.data.need import Need, Standing, obstacle_of
from xpm_ce.errors import ConfigurationError, DataError, UnknownKeyError
from xpm_ce.identity import file_sha256

TRIPLES, RUN = "triples", "run"
"""What a published file can be read as"""

IGNORED = "-"
"""Name of a column that nobody reads"""

RUN_COLUMNS = ("query", IGNORED, "document", "rank", "score", IGNORED)
"""The columns of a TREC run"""


class Publication(NamedTuple):
    """Files of one format that were published together."""

    kind: str
    """"triples" or "run" """
    columns: tuple[str, ...]
    """What each column is, IGNORED where nobody reads it"""
    source: str
    """Where they are"""
    citation: str
    """The paper"""


class PublishedFile(NamedTuple):
    """A file that others published."""

    publication: Publication
    file: str
    """Name of the file where it is published"""
    md5: tuple[str, ...]
    """md5 of the file as it is published, then of its decompressed content where that is known"""
    rows: int | None = None
    """Lines"""
    queries: int | None = None
    """Distinct queries"""
    depth: int | None = None
    """Most documents of a query"""
    datamaestro: str | None = None
    """Id in datamaestro-ir, which can download it"""
    ir_datasets: str | None = None
    """Id in ir_datasets, whose `docpairs` it is"""


MS_MARCO = Publication(
    TRIPLES,
    ("query", "positive", "negative"),
    source="https://microsoft.github.io/msmarco/Datasets",
    citation="arXiv 1611.09268",
)
HOFSTAETTER = Publication(
    TRIPLES,
    ("positive_score", "negative_score", "query", "positive", "negative"),
    source="https://zenodo.org/records/4068216",
    citation="arXiv 2010.02666",
)
RANK_DISTILLM = Publication(RUN, RUN_COLUMNS, source="https://zenodo.org/records/12528410", citation="arXiv 2405.07920")
_TEACHERS, _WEBIS = "com.github.hofstaetter.distillation.msmarco", "com.github.webis-de.rank-distillm"
_QUERIES = "msmarco-passage-train-judged.run"

PUBLISHED: dict[str, PublishedFile] = {
    "msmarco-triples-1": PublishedFile(
        MS_MARCO,
        "qidpidtriples.train.full.tsv.gz",
        ("215a5204288820672f5e9451d9e202c5",),
        rows=269_919_004,
        ir_datasets="msmarco-passage/train",
    ),
    "msmarco-triples-2": PublishedFile(
        MS_MARCO,
        "qidpidtriples.train.full.2.tsv.gz",
        # datamaestro keeps the content decompressed and knows the md5 of that
        ("219083e80a0a751c08b968c2f31a4e0b", "4e58f45f82f3fe99e3239ecffd8ed371"),
        rows=397_768_673,
        datamaestro="com.microsoft.msmarco.passage.train.triples.id",
        ir_datasets="msmarco-passage/train/triples-v2",
    ),
    "bert-ensemble-triples": PublishedFile(
        HOFSTAETTER,
        "bert_cat_ensemble_msmarcopassage_train_scores_ids.tsv",
        ("4d99696386f96a7f1631076bcc53ac3c",),
        rows=39_780_704,  # as many as sentence-transformers/msmarco has on the Hugging Face hub
        datamaestro=f"{_TEACHERS}.ensemble.teacher",
    ),
    "bert-base-triples": PublishedFile(
        HOFSTAETTER,
        "bertbase_cat_msmarcopassage_train_scores_ids.tsv",
        ("a2575af08a19b47c2041e67c9efcd917",),
        datamaestro=f"{_TEACHERS}.bert.teacher",
    ),
    "colbertv2-500": PublishedFile(
        RANK_DISTILLM,
        f"__colbert__{_QUERIES}",
        ("6ed152027f7270f32fcbfaaa6def951e",),
        queries=502_939,
        depth=500,
        datamaestro=f"{_WEBIS}.msmarco.colbertv2.annotated",
    ),
    "bm25-500": PublishedFile(
        RANK_DISTILLM,
        f"__bm25__{_QUERIES}",
        ("835372b2ab4d20acf10addeae526c559",),
        queries=502_939,
        depth=500,
        datamaestro=f"{_WEBIS}.msmarco.bm25.annotated",
    ),
    "rankzephyr-bm25-100": PublishedFile(
        RANK_DISTILLM,
        f"__rankzephyr-bm25-10000-sampled-100__{_QUERIES}",
        ("05e3137ea3526671e1565cc90f9a2c8a",),
        rows=1_000_000,
        queries=10_000,
        depth=100,
        datamaestro=f"{_WEBIS}.rankzephyr.bm25_10000.sampled100.annotated",
    ),
    "rankzephyr-colbertv2-100": PublishedFile(
        RANK_DISTILLM,
        f"__rankzephyr-colbert-10000-sampled-100__{_QUERIES}",
        ("49f8dbf2c1ee7a2ca1fe517eda528af6",),
        queries=10_000,
        depth=100,
        datamaestro=f"{_WEBIS}.rankzephyr.colbert10000.sampled100.annotated",
    ),
    "rankzephyr-colbertv2-50": PublishedFile(
        RANK_DISTILLM,
        f"__rankzephyr-colbert-10000-sampled-50__{_QUERIES}",
        ("c37b78874d4893a00566ab40aa453c56",),
        queries=10_000,
        depth=50,
        datamaestro=f"{_WEBIS}.rankzephyr.colbert10000.sampled50.annotated",
    ),
    "rankzephyr-colbertv2-10": PublishedFile(
        RANK_DISTILLM,
        f"__rankzephyr-colbert-10000-sampled-10__{_QUERIES}",
        ("619bc815bd133bdca44d6331b241d39a",),
        queries=10_000,
        depth=10,
        datamaestro=f"{_WEBIS}.rankzephyr.colbert10000.sampled10.annotated",
    ),
}
"""The published files by their name in YAML files"""


def published(name: str, kind: str) -> PublishedFile:
    """The row of a published file of a kind; ConfigurationError where there is none."""
    if name not in _names(kind):
        raise UnknownKeyError(name, _names(kind), where="", kind=f"published file of {kind}")
    return PUBLISHED[name]


def check_source(name: str | None, path: Path | None, sha256: str | None, *, kind: str) -> None:
    """ConfigurationError unless a file is either a published one or a user's, known by its content."""
    if name is not None:
        published(name, kind)
        if sha256 is not None:
            raise ConfigurationError(
                f"published is {name}, whose content is known", remedy="Leave out sha256, or published."
            )
        return
    if path is None:
        raise ConfigurationError(
            "there is neither a published file nor a path",
            remedy=f"Give path: FILE, or published: one of {', '.join(_names(kind))}.",
        )
    if sha256 is None:
        raise ConfigurationError(
            "the content of the file is not declared", where=str(path), remedy="Give its sha256, or published: NAME."
        )


def located(name: str | None, path: Path | None, sha256: str | None) -> Path:
    """The file, its content compared with what was declared; DataError where it is not that, or not there.

    A published file without a path is obtained through datamaestro, which downloads what it does not have.
    """
    known: tuple[str | None, ...]
    if name is None:
        assert path is not None, "check_source has been passed"
        found, known = file_sha256(_existing(path)), (sha256,)
    else:
        row = PUBLISHED[name]
        path = path if path is not None else _obtained(name, row)
        found, known = _md5(_existing(path)), row.md5
    if found not in known:
        raise DataError(
            f"the content is not as declared: {'sha256' if name is None else 'md5'} {found}, not {known[0]}",
            where=str(path),
            remedy="Restore the file, or declare another one: results of the two stay apart."
            if name is None
            else f"Copy {PUBLISHED[name].file} again from {PUBLISHED[name].publication.source}.",
        )
    return path


def need_of(name: str | None, path: Path | None) -> Need | None:
    """What is needed of those who published a file; None for a user's own."""
    if name is None:
        return None
    row = PUBLISHED[name]
    if path is not None:
        found = Standing.HERE if path.is_file() else Standing.ABSENT
        return Need(
            name, "training file", f"md5 {row.md5[0]}", found, f"There is no file {path}. Check the path.", False
        )
    found = Standing.ABSENT
    if row.datamaestro is not None:
        from xpm_ce.data.datamaestro_source import folder_standing

        found = folder_standing(row.datamaestro)
    return Need(name, "training file", f"md5 {row.md5[0]}", found, _getting(row), row.datamaestro is not None)


def obstacle(name: str | None, path: Path | None) -> str | None:
    """What keeps a file from being had here, and what to do about it; None where nothing is known to."""
    if path is not None:
        return None if path.is_file() else f"there is no file {path}. Check the path."
    if name is not None and PUBLISHED[name].datamaestro is None:
        return f"nothing downloads {name} for you. {_getting(PUBLISHED[name])}"
    return obstacle_of(need_of(name, path))


def _getting(row: PublishedFile) -> str:
    return f"Get {row.file} from {row.publication.source} and give its path."


def _obtained(name: str, row: PublishedFile) -> Path:
    """Where datamaestro has a published file."""
    remedy = _getting(row)
    if row.datamaestro is None:
        raise DataError(f"{name} has no path, and datamaestro does not have it", remedy=remedy)
    from xpm_ce.data.datamaestro_source import load
    from xpm_ce.data.source import reading

    with reading(row.datamaestro, remedy):
        return Path(load(row.datamaestro).path)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), remedy="Check the path.")
    return path


def _md5(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def _names(kind: str) -> Sequence[str]:
    return [name for name, row in PUBLISHED.items() if row.publication.kind == kind]
