"""Plots of planted results: the data that they show, the files that they leave, how lines are told apart."""

import csv
import itertools
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from fixtures.planted_results import PlantedStudy
from scipy import stats

from xpm_ce.analysis.curves import POINTS
from xpm_ce.analysis.plots.figure import looks
from xpm_ce.analysis.plots.kinds import KINDS, Asked, made
from xpm_ce.analysis.results import read_results
from xpm_ce.cli import plot as verb
from xpm_ce.errors import ConfigurationError, UnknownKeyError

LOSSES, BACKBONES, SEEDS, DEPTHS = ["BCE", "InfoNCE"], ["small", "large"], ["1", "2"], [10, 100]
PARAMETERS = {"small": 17_000_000, "large": 150_000_000}
LATENCY = {"small": 20.0, "large": 150.0}
QUERIES = 12


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """(workspace, results, {(loss, backbone, seed, depth): values per query})."""
    study = PlantedStudy(tmp_path_factory.mktemp("plots"), axes={"loss": LOSSES, "backbone": BACKBONES, "seed": SEEDS})
    generator, values = np.random.default_rng(0), {}
    for depth in DEPTHS:
        stage = {"first stage": "BM25"}
        values["BM25", depth] = generator.random(QUERIES) / 2
        study.result(stage, {"nDCG@10": values["BM25", depth]}, system="first stage", depth=depth)
        study.result(stage, {"nDCG@10": np.full(QUERIES, 0.9)}, system="first stage", depth=depth, order="ceiling")
        study.result(stage, {"nDCG@10": np.full(QUERIES, 0.1)}, system="first stage", depth=depth, order="random")
    for loss, backbone, seed in itertools.product(LOSSES, BACKBONES, SEEDS):
        at = {"loss": loss, "backbone": backbone, "seed": seed}
        learner = study.learner(at, ledger={"parameters": PARAMETERS[backbone]})
        _curve(learner, steps=150, scale=int(seed))
        timed = study.job("xpm_ce.evaluate.efficiency", "efficiency", {**at, "set": "test"})
        report = {"depth": 100, "latency_ms": {"total": {"median": LATENCY[backbone] * int(seed)}},
                  "computing": {"device": "cpu"}}  # fmt: skip
        (timed / "efficiency.json").write_text(json.dumps(report))
        for depth in DEPTHS:
            drawn = values["BM25", depth] + generator.random(QUERIES) / 3
            values[loss, backbone, seed, depth] = drawn
            study.result(at, {"nDCG@10": drawn}, depth=depth, learner=learner)
    workspace = study.write(rows="loss", columns="backbone")
    return workspace, read_results(workspace, "planted"), values


def _curve(learner, *, steps, scale):
    with open(learner / "curve.csv", "w") as stream:
        stream.write("step,documents,loss,learning_rate,gradient_norm,seconds\n")
        for step in range(1, steps + 1):
            stream.write(f"{step},{8 * step},{scale / step!r},0.0,0.0,0.0\n")
        stream.write("151,1208,0.")  # a line that is being written
    with open(learner / "validation.csv", "w") as stream:
        stream.write("step,documents,set,measure,value\n")
        for step in (50, 100, 150):
            for name, value in (("nano", 0.2), ("(mean)", scale * step / 1000)):
                stream.write(f"{step},{8 * step},{name},nDCG,{value!r}\n")


def plots(planted, *kinds, **asked):
    _, results, _ = planted
    return [plot for _, plot in made(kinds, results, Asked(**asked))]


def plot(planted, kind, **asked):
    (found,) = plots(planted, kind, **asked)
    if isinstance(found, ConfigurationError):
        raise found
    return found


def mean(planted, loss, backbone, depth=100):
    _, _, values = planted
    return np.mean([values[loss, backbone, seed, depth].mean() for seed in SEEDS])


# -- what is shown ------------------------------------------------------------------------------------------


def test_a_heat_map_holds_the_mean_over_seeds_and_the_difference_to_the_first_row(planted):
    shown = plot(planted, "heat-map")
    assert [row[:2] for row in shown.rows] == list(itertools.product(LOSSES, BACKBONES))
    for loss, backbone, value, _, seeds, difference in shown.rows:
        assert value == pytest.approx(mean(planted, loss, backbone), rel=1e-12)
        assert difference == pytest.approx(value - mean(planted, "BCE", backbone), abs=1e-12)
        assert seeds == 2


def test_parameters_are_those_of_the_ledgers_in_ascending_order(planted):
    shown = plot(planted, "parameters", depth=10)
    assert [row[2] for row in shown.rows] == [17e6, 17e6, 150e6, 150e6]
    for loss, backbone, parameters, value, std, _ in shown.rows:
        assert parameters == PARAMETERS[backbone]
        assert value == pytest.approx(mean(planted, loss, backbone, 10), rel=1e-12)
        seeds = [planted[2][loss, backbone, seed, 10].mean() for seed in SEEDS]
        assert std == pytest.approx(np.std(seeds, ddof=1), rel=1e-9)


def test_latencies_are_those_of_the_reports_seeds_averaged(planted):
    shown = plot(planted, "latency")
    assert [row[2] for row in shown.rows] == [30, 30, 225, 225]
    for loss, backbone, _, value, _, _ in shown.rows:
        assert value == pytest.approx(mean(planted, loss, backbone), rel=1e-12)


def test_depths_are_those_measured_for_systems_the_first_stage_and_its_ceiling(planted):
    shown = plot(planted, "depth")
    found = {row[:3]: row[3] for row in shown.rows}
    assert len(found) == len(shown.rows) == 2 * (2 + 4)
    assert found["BM25", "", 10] == pytest.approx(planted[2]["BM25", 10].mean())
    assert found["BM25, best order of its documents", "", 100] == pytest.approx(0.9)
    assert found["InfoNCE", "large", 10] == pytest.approx(mean(planted, "InfoNCE", "large", 10))


def test_a_curve_is_averaged_over_stretches_and_seeds_are_its_band(planted):
    shown = plot(planted, "training")
    losses = [row for row in shown.rows if row[:3] == ("BCE", "small", "loss")]
    size = -(-150 // POINTS)
    assert len(losses) == 150 / size
    for number, (*_, documents, average, low, high, seeds) in enumerate(losses):
        first = sum(1 / step for step in range(number * size + 1, (number + 1) * size + 1)) / size
        assert documents == 8 * size * (number + 1)
        assert (low, high) == pytest.approx((first, 2 * first))
        assert average == pytest.approx(1.5 * first)
        assert seeds == 2
    validations = [row[3:7] for row in shown.rows if row[:3] == ("InfoNCE", "large", "validation")]
    assert validations == [
        pytest.approx((8 * step, 1.5 * step / 1000, step / 1000, 2 * step / 1000)) for step in (50, 100, 150)
    ]


def test_differences_per_query_are_sorted_and_average_seeds_first(planted):
    shown = plot(planted, "queries", systems=("BM25", "loss=InfoNCE,backbone=large"))
    _, _, values = planted
    one = values["BM25", 100]
    other = np.mean([values["InfoNCE", "large", seed, 100] for seed in SEEDS], axis=0)
    assert [row[3] for row in shown.rows] == pytest.approx(sorted(other - one, reverse=True))
    for query, a, b, difference in shown.rows:
        number = int(query[1:])
        assert (a, b, difference) == pytest.approx((one[number], other[number], other[number] - one[number]))


def test_a_forest_has_scipys_intervals_and_p_values(planted):
    shown = plot(planted, "forest", baseline="loss=BCE,backbone=small")
    _, _, values = planted
    base = np.mean([values["BCE", "small", seed, 100] for seed in SEEDS], axis=0)
    raw = {}
    for name, difference, low, high, _ in shown.rows:
        if name == "BM25":
            own = values["BM25", 100]
        else:
            loss, backbone = name.split(", ")
            own = np.mean([values[loss, backbone, seed, 100] for seed in SEEDS], axis=0)
        theirs = stats.bootstrap((own - base,), np.mean, n_resamples=10_000, rng=np.random.default_rng(0))
        assert difference == pytest.approx((own - base).mean(), abs=1e-12)
        assert (low, high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-9)
        raw[name] = stats.ttest_rel(own, base).pvalue
    assert set(raw) == {"BM25", "BCE, large", "InfoNCE, small", "InfoNCE, large"}
    assert [row[1] for row in shown.rows] == sorted((row[1] for row in shown.rows), reverse=True)
    smallest = min(raw, key=raw.__getitem__)
    assert {row[0]: row[4] for row in shown.rows}[smallest] == pytest.approx(min(1, 4 * raw[smallest]))


def test_the_baseline_of_a_forest_is_the_first_stage_unless_another_is_named(planted):
    assert plot(planted, "forest").header[1] == "difference_to_BM25"


# -- files --------------------------------------------------------------------------------------------------

ASKED = {"queries": {"systems": ("BM25", "loss=BCE,backbone=small")}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_is_a_vector_file_with_its_data_beside_and_equal_data_are_equal_bytes(planted, tmp_path, kind):
    shown = plot(planted, kind, **ASKED.get(kind, {}))
    for form, beginning in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
        picture, data = shown.save(tmp_path / "one", form)
        again, _ = plot(planted, kind, **ASKED.get(kind, {})).save(tmp_path / "other", form)
        assert picture.read_bytes().startswith(beginning)
        assert picture.read_bytes() == again.read_bytes()
    header, *rows = csv.reader(data.read_text().splitlines())
    assert tuple(header) == shown.header
    assert [tuple(map(str, row)) for row in shown.rows] == [tuple(row) for row in rows]


WORDS = {
    "parameters": ["BCE", "InfoNCE", "BM25", "small 17 M", "large 150 M", "nDCG@10 x 100"],
    "latency": ["small 30 ms", "large 225 ms", "median latency of a query, 100 documents, cpu (log scale)"],
    "training": ["BCE", "InfoNCE", "small", "large", "training loss", "validation nDCG x 100", "documents seen"],
    "heat-map": ["BCE", "InfoNCE", "small", "large"],
    "queries": ["mean difference", "BM25 better", "12 queries, sorted"],
    "depth": ["BM25, best order of its documents", "small", "documents re-ranked (log scale)"],
    "forest": ["InfoNCE, large", "95 % bootstrap interval, 12 queries", "paired t-test, Holm over 4"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_says_in_words_what_it_shows(planted, tmp_path, kind):
    picture, _ = plot(planted, kind, **ASKED.get(kind, {})).save(tmp_path, "svg")
    written = " ".join(re.findall(r">([^<>]+)</(?:text|tspan)>", picture.read_text()))
    assert [word for word in WORDS[kind] if word not in written] == []


def test_every_value_of_a_heat_map_can_be_read_without_its_shade(planted, tmp_path):
    picture, _ = plot(planted, "heat-map").save(tmp_path, "svg")
    for loss, backbone in itertools.product(LOSSES, BACKBONES):
        assert f">{100 * mean(planted, loss, backbone):.1f}<" in picture.read_text()


def test_lines_differ_in_dashes_and_in_marker_and_in_colour():
    made = list(looks([str(number) for number in range(9)]).values())
    for one, other in itertools.combinations(made, 2):
        assert one.colour != other.colour
        assert one.marker != other.marker
        assert one.dashes != other.dashes
    many = list(looks([str(number) for number in range(60)]).values())
    assert len({(look.colour, look.marker, str(look.dashes)) for look in many}) == 60


# -- what cannot be plotted ---------------------------------------------------------------------------------


def test_what_was_not_measured_is_refused_with_what_was(planted):
    with pytest.raises(ConfigurationError, match="nothing of what is to be plotted is measured") as refused:
        plot(planted, "heat-map", measure="AP")
    assert "nDCG@10 on test at 10" in refused.value.remedy
    with pytest.raises(ConfigurationError, match="nothing of what is to be plotted"):
        plot(planted, "heat-map", protocol="dl19")


def test_one_depth_is_no_line(tmp_path):
    study = PlantedStudy(tmp_path, axes={"loss": LOSSES})
    study.result({"loss": "BCE", "seed": "1"}, {"nDCG@10": [0.5, 0.6]})
    workspace = study.write(rows="loss")
    results = read_results(workspace, "planted")
    reasons = {kind: str(error) for kind, error in made(KINDS, results, Asked())
               if isinstance(error, ConfigurationError)}  # fmt: skip
    assert "measured at one depth only" in reasons["depth"]
    assert "evaluation.depths" in reasons["depth"]
    assert "no measured system has a ledger" in reasons["parameters"]
    assert "no system was timed on test" in reasons["latency"]
    assert "no training has begun" in reasons["training"]
    assert "between two systems" in reasons["queries"]
    assert "needs a baseline" in reasons["forest"]
    assert set(reasons) == set(KINDS) - {"heat-map"}


def test_an_unknown_kind_or_system_is_refused(planted):
    with pytest.raises(UnknownKeyError, match="unknown kind of plot: heatmap"):
        plots(planted, "heatmap")
    with pytest.raises(UnknownKeyError, match="Hinge"):
        plots(planted, "queries", systems=("loss=Hinge", "BM25"))


# -- the command --------------------------------------------------------------------------------------------


def test_the_command_draws_what_there_can_be_and_says_why_the_rest_is_not(planted, tmp_path):
    workspace = planted[0]
    arguments = ["planted", "--workdir", str(workspace.path), "--format", "svg", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(verb.command, arguments)
    assert done.exit_code == 0, done.output
    pictures = {path.name for path in (tmp_path / "out").glob("*.svg")}
    assert pictures == {
        "parameters-test-nDCG@10.svg", "latency-test-nDCG@10.svg", "training.svg", "heat-map-test-nDCG@10.svg",
        "depth-test-nDCG@10.svg", "forest-test-nDCG@10.svg",
    }  # fmt: skip
    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} == {name.removesuffix(".svg") for name in pictures}
    assert "no queries: differences per query are between two systems" in done.stderr


def test_a_kind_that_is_asked_for_and_cannot_be_is_an_error(planted, tmp_path):
    arguments = ["planted", "--workdir", str(planted[0].path), "--output", str(tmp_path), "-k", "queries"]
    done = CliRunner().invoke(verb.command, arguments)
    assert isinstance(done.exception, ConfigurationError)
    assert list(tmp_path.iterdir()) == []


def test_the_command_knows_every_kind():
    assert set(verb.KINDS) == set(KINDS)
