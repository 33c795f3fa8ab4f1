"""The course of trainings: loss and validation against documents seen, a panel per row, a line per column.

Seeds are a band from lowest to highest. Losses of different kinds are not comparable, so each has a panel of its own;
validation shares one scale. This module does not know what the numbers mean.
"""

from typing import Any

from xpm_ce.analysis.curves import LOSS, VALUE, SystemCourse, learner_courses, over_seeds
from xpm_ce.analysis.plots.figure import COLUMN, Plot, counted, grid, looks
from xpm_ce.analysis.plots.points import in_order
from xpm_ce.analysis.results import Results
from xpm_ce.errors import ConfigurationError


def training(results: Results) -> Plot:
    """Loss and validation against documents seen; ConfigurationError where no training has begun."""
    learners = learner_courses(results)
    if not learners:
        raise ConfigurationError(
            "no training has begun",
            where=results.experiment,
            remedy="`xpm-ce status` says where the experiment stands.",
        )
    courses = over_seeds(learners)
    measures = [each.course.measure for each in learners if each.course.measure]
    rows = in_order((course.row for course in courses), results.layout["row_labels"])
    columns = in_order((course.column for course in courses), results.layout["column_labels"])
    quantities = [each for each in (LOSS, VALUE) if any(course.quantity == each for course in courses)]
    named = {LOSS: "training loss", VALUE: f"validation {'/'.join(dict.fromkeys(measures))} x 100"}
    data = tuple(
        (course.row, course.column, course.quantity, *values, course.seeds)
        for course in courses
        for values in zip(course.documents, course.mean, course.low, course.high, strict=True)
    )

    def draw(figure: Any) -> None:
        panels = figure.subplots(len(quantities), len(rows), squeeze=False, sharex="col")
        look = looks(columns)
        for line, quantity in zip(panels, quantities, strict=True):
            scale = 100 if quantity == VALUE else 1
            for axes, row in zip(line, rows, strict=True):
                for course in courses:
                    if (course.row, course.quantity) == (row, quantity):
                        place_of_marks = columns.index(course.column) / len(columns)
                        _drawn(axes, course, look[course.column].line, scale=scale, first_mark=place_of_marks)
                grid(axes)
            if quantity == VALUE:
                low = min(axes.get_ylim()[0] for axes in line)
                high = max(axes.get_ylim()[1] for axes in line)
                for axes in line:
                    axes.set_ylim(low, high)
                for axes in line[1:]:
                    axes.tick_params(labelleft=False)
            line[0].set_ylabel(named[quantity])
        for axes, row in zip(panels[0], rows, strict=True):
            axes.set_title(row)
        for axes in panels[-1]:
            axes.set_xlabel("documents seen")
            counted(axes.xaxis)
        if len(columns) > 1:
            handles, labels = panels[0][0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=min(len(columns), 5))

    size = (max(COLUMN, 0.5 + 1.5 * len(rows)), 0.7 + 1.5 * len(quantities))
    header = ("row", "column", "quantity", "documents", "mean_over_seeds", "lowest", "highest", "seeds")
    return Plot("training", header, data, size, draw)


def _drawn(axes: Any, course: SystemCourse, look: dict[str, Any], *, scale: float, first_mark: float) -> None:
    """One line and its band; `first_mark` shifts the markers, so that those of several lines do not coincide."""
    mean, low, high = ([scale * value for value in values] for values in (course.mean, course.low, course.high))
    every = max(1, len(mean) // 5)
    axes.plot(
        course.documents, mean, label=course.column, markevery=(int(every * first_mark), every), linewidth=0.9,
        markersize=3.5, **look,
    )  # fmt: skip
    if course.seeds > 1:
        axes.fill_between(course.documents, low, high, color=look["color"], alpha=0.2, linewidth=0)
