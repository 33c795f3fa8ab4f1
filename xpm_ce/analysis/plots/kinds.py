"""The kinds of plots by name, and which of them an experiment's results allow.

This module does not draw.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from xpm_ce.analysis.layouts import COMPARED
from xpm_ce.analysis.plots.depth import against_depth
from xpm_ce.analysis.plots.figure import Plot
from xpm_ce.analysis.plots.forest import forest
from xpm_ce.analysis.plots.heat_map import heat_map
from xpm_ce.analysis.plots.latency import against_latency
from xpm_ce.analysis.plots.parameters import against_parameters
from xpm_ce.analysis.plots.points import Shown, shown
from xpm_ce.analysis.plots.queries import per_query_differences
from xpm_ce.analysis.plots.training import training
from xpm_ce.analysis.results import Results
from xpm_ce.analysis.systems import MeasuredSystem, gathered, measured_system
from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.workspace import FIRST_STAGE, TRAINED


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is plotted: empty means the experiment's own."""

    protocol: str = ""
    measure: str = ""
    depth: int = 0
    systems: tuple[str, ...] = ()
    """Two, for the differences per query"""
    baseline: str = ""
    """For the forest plot; by default the first stage"""


Made = Callable[[Results, Asked], Iterator[Plot]]


def _per_set(make: Callable[[Results, Shown], Plot]) -> Made:
    def made(results: Results, asked: Asked) -> Iterator[Plot]:
        for what in shown(results, protocol=asked.protocol, measure=asked.measure, depth=asked.depth):
            yield make(results, what)

    return made


def _training(results: Results, _asked: Asked) -> Iterator[Plot]:
    yield training(results)


def _queries(results: Results, asked: Asked) -> Iterator[Plot]:
    if len(asked.systems) != 2:
        raise ConfigurationError(
            "differences per query are between two systems",
            remedy="Give them: --systems loss=BCE loss=InfoNCE, or --systems BM25 loss=InfoNCE.",
        )
    a = measured_system(results, asked.systems[0])
    b = measured_system(results, asked.systems[1], near=a)
    for what in shown(results, protocol=asked.protocol, measure=asked.measure, depth=asked.depth):
        yield per_query_differences(results, what, a, b)


def _forest(results: Results, asked: Asked) -> Iterator[Plot]:
    for what in shown(results, protocol=asked.protocol, measure=asked.measure, depth=asked.depth):
        systems = measured_systems(results, what)
        if asked.baseline:
            baseline = measured_system(results, asked.baseline)
        else:
            stages = [each for each in systems if each.system == FIRST_STAGE]
            if not stages:
                raise ConfigurationError("a forest plot needs a baseline", remedy="Give --baseline SYSTEM.")
            baseline = stages[0]
        yield forest(results, what, baseline, systems)


KINDS: Mapping[str, Made] = {
    "parameters": _per_set(against_parameters),
    "latency": _per_set(against_latency),
    "training": _training,
    "heat-map": _per_set(heat_map),
    "queries": _queries,
    "depth": _per_set(against_depth),
    "forest": _forest,
}
"""Every kind, by name"""


def measured_systems(results: Results, what: Shown) -> list[MeasuredSystem]:
    """Every system that competes on a set, seeds together, in the order of the plan."""
    rows = [
        row for row in results.rows if row.order == "given" and row.system in COMPARED and row.protocol == what.protocol
    ]
    return [dataclasses.replace(each, name=_name(results, each)) for each in gathered(results, rows)]


def _name(results: Results, system: MeasuredSystem) -> str:
    alone = system.system if system.system != TRAINED else results.experiment
    return ", ".join(system.coordinates.values()) or alone


def made(kinds: Sequence[str], results: Results, asked: Asked) -> Iterator[tuple[str, Plot | ConfigurationError]]:
    """The plots of each kind, or why there is none; UnknownKeyError for a kind that there is not."""
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownKeyError(kind, KINDS, where="", kind="kind of plot:")
    for kind in kinds:
        try:
            for plot in KINDS[kind](results, asked):
                yield kind, plot
        except UnknownKeyError:
            raise
        except ConfigurationError as error:
            yield kind, error
