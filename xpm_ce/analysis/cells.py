"""A cell of a table: its values, one per seed, the jobs behind them, and means of cells over protocols.

This module does not know rows, columns, nor what was measured.
"""

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

ABSENT = "–"
"""What stands where there is no value"""


@dataclasses.dataclass(frozen=True)
class Cell:
    """The values of one cell, one per seed, and the jobs behind them."""

    values: tuple[float, ...]
    jobs: tuple[str, ...]
    seeds: tuple[str, ...] = ()
    """Where each value stands on the averaged axes"""
    absent: tuple[str, ...] = ()
    """Planned places on the averaged axes whose result is not there yet"""
    absent_jobs: tuple[str, ...] = ()
    measured: tuple[str, int] | None = None
    """Measure and depth; None where there is no value"""

    @property
    def complete(self) -> bool:
        """Whether every planned seed is there: only then is it compared, and only then may it enter a mean."""
        return bool(self.values) and not self.absent_jobs

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds; None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    @property
    def printed(self) -> str:
        """The mean x 100 with one decimal, as tables in the field are printed."""
        return f"{100 * self.mean:.1f}" if self.values else ABSENT

    def render(self, *, spread: bool = True) -> str:
        """The mean, the deviation over seeds, and how many of the planned seeds it is made of where some lack."""
        if not self.values:
            return ABSENT
        deviation = "" if self.std is None or not spread else f" ± {100 * self.std:.1f}"
        planned = len(self.values) + len(self.absent_jobs)
        return f"{self.printed}{deviation}{f' ({len(self.values)} of {planned})' if self.absent_jobs else ''}"

    def as_json(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "mean": self.mean if self.values else None, "std": self.std, "values": list(self.values),
            "jobs": list(self.jobs),
        }  # fmt: skip
        return {**described, "absent_jobs": list(self.absent_jobs)} if self.absent_jobs else described


def mean_over_protocols(cells: Sequence[Cell | None]) -> Cell | None:
    """The mean over protocols, seed by seed; None unless every cell is complete and has the same seeds."""
    there = [cell for cell in cells if cell is not None and cell.complete]
    if not there or len(there) < len(cells):
        return None
    seeds = there[0].seeds
    if len(set(seeds)) < len(seeds) or any(sorted(cell.seeds) != sorted(seeds) for cell in there):
        return None
    by_seed = [dict(zip(cell.seeds, cell.values, strict=True)) for cell in there]
    values = tuple(statistics.fmean(each[seed] for each in by_seed) for seed in seeds)
    measured = there[0].measured if len({cell.measured for cell in there}) == 1 else None
    return Cell(values, tuple(job for cell in there for job in cell.jobs), seeds, measured=measured)
