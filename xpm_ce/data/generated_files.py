"""The files of a generated collection: the BEIR layout, triples, a teacher's run, and a manifest with their hashes.

    corpus.jsonl  queries.jsonl  qrels/{train,validation,test}.tsv
    triples/train.tsv         query id, id of a positive, id of a negative
    teacher/train.run.gz      TREC run with the teacher's scores, best first
    manifest.json             schema, sha256 of all content, sha256 of each file's content, sizes of the world, counts

Hashes are over content, decompressed, so that they do not depend on a version of zlib. This module does not know how
texts are drawn.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from xpm_ce import atomic
from xpm_ce.data import generator
from xpm_ce.data.beir import QRELS_HEADER, content_sha256
from xpm_ce.data.generator import GeneratedDocuments, GeneratedQuery, document_id
from xpm_ce.data.runs import Ranking, write_run
from xpm_ce.data.world import World
from xpm_ce.errors import DataError
from xpm_ce.identity import text_sha256

SCHEMA = 1


def write_collection(folder: Path, world: World, *, expected: str | None = None) -> None:
    """Draw a world and write it; the folder is complete or absent.

    DataError where `expected`, the content's sha256, is given and something else was drawn.
    """
    words = generator.vocabulary(world)
    documents = generator.draw_documents(world, words)
    queries = generator.draw_queries(world, words)
    triples = generator.triples(world, documents, queries["train"])
    with atomic.writing_folder(folder) as temporary:
        _write_lines(
            temporary / "corpus.jsonl",
            (_json(_id=document_id(row), title="", text=text) for row, text in enumerate(documents.texts)),
        )
        _write_lines(
            temporary / "queries.jsonl",
            (_json(_id=query.id, text=query.text) for split in queries.values() for query in split),
        )
        for split, drawn in queries.items():
            _write_lines(temporary / "qrels" / f"{split}.tsv", _qrels(documents, drawn))
        _write_lines(
            temporary / "triples" / "train.tsv",
            (f"{query.id}\t{document_id(good)}\t{document_id(bad)}" for query, good, bad in triples),
        )
        rankings = {query.id: _teacher(world, documents, query) for query in queries["train"]}
        write_run(temporary / "teacher" / "train.run.gz", rankings, "teacher")
        files = {
            str(path.relative_to(temporary)): content_sha256(path)
            for path in sorted(temporary.rglob("*"))
            if path.is_file()
        }
        manifest = {
            "schema": SCHEMA,
            "sha256": text_sha256(f"{name}={sha256}" for name, sha256 in files.items()),
            "files": files,
            "world": dataclasses.asdict(world),
            "counts": {
                "documents": len(documents.texts),
                "queries": world.queries,
                "queries_without_relevant_document": {
                    split: sum(not _grades(documents, query).any() for query in drawn)
                    for split, drawn in queries.items()
                },
                "triples": len(triples),
            },
        }
        if expected is not None and manifest["sha256"] != expected:
            raise DataError(
                f"the generator differs on this machine: it drew {manifest['sha256']}, not {expected}",
                remedy="Compare the versions of numpy and Python with those in constraints.txt; please report it.",
            )
        atomic.write_json(temporary / "manifest.json", manifest)


def checked(folder: Path, name: str) -> Path:
    """The path of a file of a generated collection; DataError where its content is not the one in the manifest."""
    try:
        expected = json.loads((folder / "manifest.json").read_text())["files"][name]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"not a complete generated collection ({error!r})",
            where=str(folder),
            remedy="Delete the folder of the job that made it and run again.",
        ) from error
    if content_sha256(folder / name) != expected:
        raise DataError(
            "this file is not the one that was generated",
            where=str(folder / name),
            remedy="Delete the folder of the job that made it and run again.",
        )
    return folder / name


def _qrels(documents: GeneratedDocuments, queries: list[GeneratedQuery]) -> Iterable[str]:
    yield "\t".join(QRELS_HEADER)
    for query in queries:
        grades = _grades(documents, query)
        for row in np.flatnonzero(grades).tolist():
            yield f"{query.id}\t{document_id(row)}\t{grades[row]}"


def _grades(documents: GeneratedDocuments, query: GeneratedQuery) -> np.ndarray:
    return generator.grades(generator.relevance(documents, query))


def _teacher(world: World, documents: GeneratedDocuments, query: GeneratedQuery) -> Ranking:
    scores = generator.teacher_scores(world, documents, query)
    values = np.array(list(scores.values()), np.float64) / generator.ONE
    return Ranking([document_id(row) for row in scores], values.astype(np.float32))


def _json(**record: str) -> str:
    return json.dumps(record, ensure_ascii=False)


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)
