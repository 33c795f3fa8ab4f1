"""A generated collection, for running everything without data: texts are drawn, and the best ranking is known.

It says nothing about real retrieval. This module does not know how texts are drawn (see `generator.py`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from experimaestro import Config, Constant, Meta, Param, PathGenerator, field

from xpm_ce.data.collection import Collection, Submit
from xpm_ce.data.parts import DocumentRecord, Documents, Parts, Qrels, Queries, no_such_split
from xpm_ce.data.runs import Rankings, Run, read_run
from xpm_ce.data.world import SPLITS, World
from xpm_ce.jobs import Job

GOLDEN = {
    0: "6cc30026f80587c71962b32948a7b71527b305de49e957bc7699062b013e8ff2",
    1: "e65a9d9e29ae73c48336dbd701852a485327063cf1f9052c04cab3dca5213432",
    2: "ad2022e78082834feff6f00475d7e336ad92aebbf08b778d314b9c8acb0261ad",
}
"""Content sha256 by seed, for the default sizes: what every machine must generate"""


class GeneratedFolder(Config):
    """What a `Generate` job has written: the BEIR layout, triples, a teacher's run and a manifest with hashes."""

    __xpmid__ = "xpm_ce.data.generated.folder"

    path: Meta[Path]
    """The folder"""

    def file(self, name: str) -> Path:
        """The path of a file; DataError where its content is not what was generated."""
        from xpm_ce.data.generated_files import checked

        return checked(self.path, name)


class GeneratedDocuments(Documents):
    """The generated documents."""

    __xpmid__ = "xpm_ce.data.generated.documents"

    folder: Param[GeneratedFolder]
    """Where they were generated"""

    def records(self) -> Iterator[DocumentRecord]:
        from xpm_ce.data.beir import HashedDocuments

        yield from HashedDocuments(self.folder.file("corpus.jsonl"))


class GeneratedQueries(Queries):
    """The generated queries of one split."""

    __xpmid__ = "xpm_ce.data.generated.queries"

    folder: Param[GeneratedFolder]
    """Where they were generated"""

    split: Param[str]
    """train, validation or test"""

    def read(self) -> dict[str, str]:
        from xpm_ce.data.beir import read_queries_of

        return read_queries_of(self.folder.file("queries.jsonl"), self.folder.file(f"qrels/{self.split}.tsv"))


class GeneratedQrels(Qrels):
    """The true grades of one split: 1 to 3, documents of grade 0 are left out."""

    __xpmid__ = "xpm_ce.data.generated.qrels"

    folder: Param[GeneratedFolder]
    """Where they were generated"""

    split: Param[str]
    """train, validation or test"""

    def read(self) -> dict[str, dict[str, int]]:
        from xpm_ce.data.beir import read_qrels

        return read_qrels(self.folder.file(f"qrels/{self.split}.tsv"))


class GeneratedTeacher(Run):
    """The scores of a noisy teacher for the training queries."""

    __xpmid__ = "xpm_ce.data.generated.teacher"

    folder: Param[GeneratedFolder]
    """Where they were generated"""

    split: Param[str]
    """train"""

    def read(self) -> Rankings:
        return read_run(self.folder.file(f"teacher/{self.split}.run.gz"))


class Generated(Collection):
    """A collection that is drawn from a seed."""

    __xpmid__ = "xpm_ce.data.generated"
    NAME = "generated"
    version: Constant[int] = 1
    """Version of what is drawn"""

    documents: Param[int] = field(default=900)
    """Number of documents"""

    train_queries: Param[int] = field(default=400)
    """Number of training queries"""

    validation_queries: Param[int] = field(default=40)
    """Number of validation queries"""

    test_queries: Param[int] = field(default=100)
    """Number of test queries"""

    concepts: Param[int] = field(default=24)
    """Number of concepts; more of them make a larger vocabulary, which tiny models learn too slowly"""

    topics: Param[int] = field(default=6)
    """Number of topics that the concepts are divided into; documents often stay within one"""

    homonym_pairs: Param[int] = field(default=5)
    """Pairs of concepts that share a word, in each of the four places a concept has words for"""

    background_words: Param[int] = field(default=40)
    """Number of words without a concept"""

    document_words: Param[int] = field(default=12)
    """Words of a document; 6 to 8 of them mention its concepts"""

    teacher_noise: Param[float] = field(default=0.12)
    """Standard deviation of the teacher's error; relevance is between 0 and 1"""

    teacher_others: Param[int] = field(default=900)
    """Documents without a concept of the query that the teacher scores too, per query; 900 are all of the default"""

    triples_per_query: Param[int] = field(default=8)
    """Training triples per training query"""

    seed: Param[int] = field(default=0)
    """Seed of everything that is drawn"""

    def world(self) -> World:
        """The sizes; ConfigurationError where they do not go together."""
        return World(**{name: getattr(self, name) for name in World.__dataclass_fields__})

    def __validate__(self) -> None:
        self.world()

    def prepare(self, submit: Submit) -> Parts:
        default = self.world() == Generated.C(seed=self.seed).world()
        task = Generate.C(collection=self, sha256=GOLDEN.get(self.seed) if default else None)
        return GeneratedParts(submit(task, kind="collection"))


class Generate(Job):
    """Draw a collection and write it."""

    __xpmid__ = "xpm_ce.data.generate"
    version: Constant[int] = 1
    """Version of the files' layout"""

    collection: Param[Generated]
    """What to draw"""

    sha256: Param[Optional[str]] = field(default=None, ignore_default=True)
    """Content that must come out, known for the default sizes and some seeds; absent elsewhere"""

    folder: Meta[Path] = field(default_factory=PathGenerator("collection"))
    """The collection"""

    def compute(self) -> None:
        from xpm_ce.data.generated_files import write_collection

        write_collection(self.folder, self.collection.world(), expected=self.sha256)

    def task_outputs(self, dep):
        return dep(GeneratedFolder.C(path=self.folder))


class GeneratedParts(Parts):
    """The parts of a generated collection."""

    def __init__(self, folder: GeneratedFolder):
        self.folder = folder

    @property
    def documents(self) -> GeneratedDocuments:
        return GeneratedDocuments.C(folder=self.folder)

    def splits(self) -> list[str]:
        return sorted(SPLITS)

    def queries(self, split: str) -> GeneratedQueries:
        return GeneratedQueries.C(folder=self.folder, split=self._known(split))

    def qrels(self, split: str) -> GeneratedQrels:
        return GeneratedQrels.C(folder=self.folder, split=self._known(split))

    def teacher(self, split: str) -> GeneratedTeacher | None:
        if self._known(split) != "train":
            return None
        path = Path(self.folder.path) / "teacher" / f"{split}.run.gz"
        return GeneratedTeacher.C(path=path, folder=self.folder, split=split)

    def _known(self, split: str) -> str:
        if split not in SPLITS:
            raise no_such_split(split, self.splits(), where="the generated collection")
        return split
