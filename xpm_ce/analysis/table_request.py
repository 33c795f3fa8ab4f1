"""The tables that are asked for, by words: what `xpm-ce table` and the monitor show is made here, once.

This module does not know who asks, nor how a table is written down.
"""

from typing import NamedTuple

from xpm_ce.analysis.layouts import Layout
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.tables import Table, make_tables
from xpm_ce.errors import ConfigurationError
from xpm_ce.measures.names import parse

NO_TEST, DEFAULT_TEST = "none", "t"


class TableRequest(NamedTuple):
    """What is asked for; empty means the experiment's own."""

    measures: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()
    protocols: tuple[str, ...] = ()
    """Patterns"""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    aggregate: str = ""
    """AXIS:mean or AXIS:mean±std"""
    baselines: tuple[str, ...] = ()
    test: str | None = None
    """None is the default where there are baselines"""
    correction: str = "holm"
    alpha: float = 0.05
    draws: int = 10_000

    def tables(self, results: Results) -> list[Table]:
        """The tables, with tests where baselines are named.

        UnknownKeyError for a measure, an axis, a protocol or a baseline that there is not; ConfigurationError for a
        test that compares with nothing.
        """
        layout = Layout.of(results, rows=self.rows, columns=self.columns, aggregate=self.aggregate)
        measures = [str(parse(each)) for each in self.measures]
        tables = make_tables(results, measures=measures, depths=self.depths, protocols=self.protocols, layout=layout)
        if self.baselines and self.test != NO_TEST:
            from xpm_ce.analysis.significance import with_tests
            from xpm_ce.analysis.statistics.procedure import Procedure

            procedure = Procedure(self.test or DEFAULT_TEST, self.correction, self.alpha, self.draws)
            return [with_tests(each, results, baselines=self.baselines, procedure=procedure) for each in tables]
        if self.test not in (None, NO_TEST):
            raise ConfigurationError(f"--test {self.test} compares with nothing", remedy="Give --baseline ROW.")
        return tables
