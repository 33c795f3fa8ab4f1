"""Runs that others wrote, of any size: by name where they are published, else by content, with columns of any layout.

This module does not know what a run is used for.
"""

from pathlib import Path
from typing import Optional

from experimaestro import Constant, Meta, Param, field

from xpm_ce.data.need import Need
from xpm_ce.data.published import IGNORED, RUN, RUN_COLUMNS, check_source, located, need_of, obstacle, published
from xpm_ce.data.runs import Run
from xpm_ce.errors import ConfigurationError
from xpm_ce.measures.rankings import Rankings

BY_RANK, BY_SCORE = "rank", "score"
"""Columns by which documents can be ordered"""
TOLERATED = 1
"""Columns that may be missing at the end of a line of a published run, where the score was left out"""


class FileRun(Run):
    """A run file whose documents are ordered by the column that says so, whatever the order of its lines.

    Documents of one rank stand in the order of the collection, as do those of one score and one rank.
    """

    __xpmid__ = "xpm_ce.data.file_run"
    version: Constant[int] = 1
    """Version of the order that is read from the file"""

    published: Param[Optional[str]] = field(default=None, ignore_default=True)
    """Name of a published file (colbertv2-500, bm25-500, rankzephyr-colbertv2-100, -50 and -10, rankzephyr-bm25-100);
    its columns are known, and its md5 is compared"""

    path: Meta[Optional[Path]] = field(default=None, overrides=True)
    """The file, decompressed where its name ends with .gz; may be absent for a published one that datamaestro has"""

    sha256: Param[Optional[str]] = field(default=None, ignore_default=True)
    """sha256 of the file's bytes, where it is not a published one"""

    columns: Param[Optional[list[str]]] = field(default=None, ignore_default=True)
    """What each column of your own file is, separated by tabs or blanks: query, document, rank or score or both, and -
    for one to ignore; by default those of TREC: query - document rank score -"""

    order: Param[str] = field(default=BY_RANK)
    """"rank" or "score": the column that orders documents. Tools that permute lists write scores that tie, or those
    of another ranking, so that only the rank can be trusted"""

    @property
    def obstacle(self) -> str | None:
        """What keeps the file from being had here, and what to do about it; None where nothing is known to."""
        return obstacle(self.published, self.path)

    @property
    def need(self) -> Need | None:
        """What is needed of those who published the file; None for a user's own."""
        return need_of(self.published, self.path)

    def obtain(self) -> str:
        """Have the file, downloaded if need be, and compare its content; where it is. DataError where it is another."""
        return str(located(self.published, self.path, self.sha256))

    @property
    def layout(self) -> list[str]:
        """What each column is."""
        if self.published is not None:
            return list(published(self.published, RUN).publication.columns)
        return list(self.columns or RUN_COLUMNS)

    @property
    def least_columns(self) -> int:
        """How many columns a line has at least: a TREC run that is read by rank may lack the score."""
        trec_by_rank = self.order == BY_RANK and tuple(self.layout) == RUN_COLUMNS
        return len(self.layout) - (TOLERATED if trec_by_rank else 0)

    def __validate__(self) -> None:
        check_source(self.published, self.path, self.sha256, kind=RUN)
        if self.published is not None and self.columns is not None:
            raise ConfigurationError("columns of a published file are known", remedy="Leave them out.")
        if self.order not in (BY_RANK, BY_SCORE):
            raise ConfigurationError(f"order is {self.order!r}", remedy=f"Give {BY_RANK} or {BY_SCORE}.")
        given = [column for column in self.layout if column != IGNORED]
        known = {"query", "document", BY_RANK, BY_SCORE}
        if len(set(given)) != len(given) or not {"query", "document", self.order} <= set(given) <= known:
            raise ConfigurationError(
                f"columns {self.layout} do not describe a run that is ordered by {self.order}",
                remedy="Name query, document, rank and score once each, what orders it included, and - for the columns "
                "to ignore.",
            )

    def located(self) -> Path:
        """The file, its content compared with what was declared."""
        return located(self.published, self.path, self.sha256)

    def read(self) -> Rankings:
        """Rankings by query id, all in memory; by rank, scores count down to 1."""
        from xpm_ce.data.ranked_rows import read_file_run

        return read_file_run(self)
