import contextlib
import json
import tempfile
from enum import Enum
from pathlib import Path
from typing import Optional

import pytest
from experimaestro import Config, Constant, Meta, Param, PathGenerator, Task, field
from experimaestro.experiments.cli import ConfigurationLoader
from experimaestro.utils.config import deep_merge
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_ce.errors import ConfigurationError, UnknownKeyError
from xpm_ce.settings import (
    ConfigurationErrors,
    Document,
    Field,
    Node,
    Problems,
    check_keys,
    fields,
    load,
    typed,
    validate,
)


class Loss(Config):
    """What is minimised."""

    __xpmid__ = "tests.settings.loss"


class Hinge(Loss):
    __xpmid__ = "tests.settings.hinge"
    NAME = "hinge"

    margin: Param[float] = field(default=1.0)
    """Distance that is wanted between two scores"""

    version: Constant[int] = 1

    def __validate__(self):
        if self.margin <= 0:
            raise ConfigurationError("margin must be positive", remedy="The usual value is 1.")


class Squared(Loss):
    __xpmid__ = "tests.settings.squared"


class Sampler(Config):
    __xpmid__ = "tests.settings.sampler"


class Uniform(Sampler):
    __xpmid__ = "tests.settings.uniform"

    data: Param[Squared]
    """Filled in by the program"""

    size: Param[int]
    """Documents per group"""


class Schedule(Config):
    __xpmid__ = "tests.settings.schedule"

    warmup: Param[int] = field(default=0)
    """Steps of warm-up"""


class Pool(Enum):
    FIRST = 1
    MEAN = 2


class Learner(Task):
    __xpmid__ = "tests.settings.learner"

    loss: Param[Loss]
    """What is minimised"""

    sampler: Param[Optional[Sampler]]
    """Which documents meet"""

    steps: Param[int]
    """Number of optimisation
    steps"""

    rate: Param[float] = field(default=1e-5)
    """Learning rate"""

    shuffled: Param[bool] = field(default=True)
    name: Param[str] = field(default="x")
    teacher: Param[Optional[str]] = field(default="monot5")
    depths: Param[list[int]] = field(default_factory=list)
    losses: Param[list[Loss]] = field(default_factory=list)
    weights: Param[dict[str, float]] = field(default_factory=dict)
    schedule: Param[Schedule] = field(default_factory=Schedule.C)
    limit: Param[int | str] = field(default=0)
    pool: Param[Optional[Pool]]
    folder: Meta[Optional[Path]] = field(default=None)
    """Where to look"""

    version: Constant[int] = 1
    model: Meta[Path] = field(default_factory=PathGenerator("model"))


TABLES = {
    Loss: {"hinge": f"{__name__}.Hinge", "squared": f"{__name__}:Squared"},
    "tests.settings.sampler": {},
}
MINIMAL = {"loss": "hinge", "steps": 3}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(text: str, *overrides: str) -> Document:
    return load(write(Path("x.yaml"), text), overrides)


def learner(data: dict, **changes):
    node = Node.of({**data, **changes}, where="x.yaml:1")
    return typed(Learner, node, tables=TABLES)


# -- reading ------------------------------------------------------------------------------------------------

SCALARS = [
    ("3", 3),
    ("-3", -3),
    ("1_000_000", 1_000_000),
    ("0x1F", 31),
    ("1e-4", 0.0001),
    ("-1.5E+3", -1500.0),
    (".5", 0.5),
    ("2.", 2.0),
    (".inf", float("inf")),
    ("true", True),
    ("False", False),
    ("~", None),
    ("", None),
    ("null", None),
    ("yes", "yes"),
    ("no", "no"),
    ("010", "010"),
    ("12:30", "12:30"),
    ("2024-01-31", "2024-01-31"),
    ("1.2.3", "1.2.3"),
    ("'3'", "3"),
    ('"1e-4"', "1e-4"),
    ("!!str 3", "3"),
    ("!!float 3", 3.0),
]


@pytest.mark.parametrize(("written", "value"), SCALARS, ids=[written or "nothing" for written, _ in SCALARS])
def test_a_scalar_is_read_as_yaml_1_2_does(here, written, value):
    read = document(f"a: {written}").plain()["a"]
    assert (read, type(read)) == (value, type(value))


letters = st.text(st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_characters="\x7f"), max_size=8)
letters = letters.filter(lambda text: all(c.isprintable() for c in text))
keys = st.from_regex(r"[a-z][a-z_0-9]{0,5}", fullmatch=True)
simple = st.none() | st.booleans() | st.integers() | letters


def nested(leaf):
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
    )


data = nested(simple | st.floats(allow_nan=False, allow_infinity=False))
mappings = st.dictionaries(keys, data, max_size=4)
# without floats: experimaestro's loader reads YAML 1.1, in which 1e-4 is text
exact = st.dictionaries(keys, nested(simple), max_size=4)


@contextlib.contextmanager
def folder_of(**files):
    """A folder with these files, in YAML that is also JSON."""
    with tempfile.TemporaryDirectory() as folder:
        for name, values in files.items():
            write(Path(folder) / f"{name}.yaml", json.dumps(values, ensure_ascii=False, indent=1))
        yield Path(folder)


@given(mappings)
def test_nested_data_is_read_back_as_it_was_written(values):
    with folder_of(x=values) as folder:
        assert load(folder / "x.yaml").plain() == values


def leaves(value, path=""):
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in below:
        yield f"{path}{key}"
        yield from leaves(item, f"{path}{key}.")


def changed(value, path, new):
    key, _, rest = path.partition(".")
    if isinstance(value, list):
        return [(changed(item, rest, new) if rest else new) if i == int(key) else item for i, item in enumerate(value)]
    return {**value, key: changed(value[key], rest, new) if rest else new}


@given(mappings.filter(bool), data, st.randoms(use_true_random=False))
def test_an_override_changes_the_value_at_its_path_and_nothing_else(values, new, random):
    target = random.choice(list(leaves(values)))
    with folder_of(x=values) as folder:
        before = load(folder / "x.yaml")
        after = load(folder / "x.yaml", [f"{target}={json.dumps(new, ensure_ascii=False)}"])
    assert after.plain() == changed(values, target, new)
    assert before.with_value(target, new).plain() == after.plain()
    assert before.plain() == values
    assert after.require(target).path == target


@settings(max_examples=50)
@given(exact, exact, exact)
def test_files_merge_as_experimaestro_merges_them(first, second, importing):
    second, importing = {**second, "imports": ["first.yaml"]}, {**importing, "imports": ["second"]}
    with folder_of(first=first, second=second, x=importing) as folder:
        loader, expected = ConfigurationLoader(), {}
        loader.load(folder / "x.yaml")
        for tree in loader.yamls:
            deep_merge(expected, tree)
        del expected["imports"]
        assert load(folder / "x.yaml").plain() == expected


def test_files_before_and_after_the_main_one_are_laid_under_and_over_it(here):
    under = write(here / "under.yaml", "a: 1\nb: 1\nc: 1\n")
    over = write(here / "over.yaml", "c: 3\n")
    main = write(here / "x.yaml", "b: 2\nc: 2\n")
    merged = load(main, pre_yaml=[under], post_yaml=[over])
    assert merged.plain() == {"a": 1, "b": 2, "c": 3}
    assert [file.name for file in merged.files] == ["under.yaml", "x.yaml", "over.yaml"]


def test_every_value_knows_the_file_and_the_line_that_wrote_it(here):
    write(here / "base" / "b.yaml", "learner:\n  steps: 3\n  loss: hinge\nseeds:\n- 1\n- 2\n")
    main = write(here / "x.yaml", "imports: [base/b.yaml]\nlearner:\n  loss:\n    type: squared\n")
    merged = load(main.relative_to(here), ["learner.rate=1e-4", "seeds.1=7"])
    assert {path: merged.require(path).where for path in ("learner", *leaves(merged.plain()))} == {
        "learner": "x.yaml:3",
        "learner.steps": "base/b.yaml:2",
        "learner.loss": "x.yaml:4",
        "learner.loss.type": "x.yaml:4",
        "learner.rate": "-c learner.rate=1e-4",
        "seeds": "base/b.yaml:5",
        "seeds.0": "base/b.yaml:5",
        "seeds.1": "-c seeds.1=7",
    }
    assert merged.plain()["seeds"] == [1, 7]


def test_an_anchor_can_be_used_twice_and_merged_into_a_mapping(here):
    tree = document("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [*a, {z: 4, x: 5}]}\n")
    assert tree.plain()["b"] == {"x": 1, "y": 2}
    assert tree.plain()["c"] == {"x": 1, "y": 3}
    assert tree.plain()["d"] == {"x": 1, "y": 2, "z": 4}
    assert [tree.require(path).path for path in ("b.x", "c.x", "d.z")] == ["b.x", "c.x", "d.z"]


def test_an_empty_file_is_an_empty_configuration(here):
    assert document("# nothing yet\n").plain() == {}


MALFORMED = {
    "a key without a colon": (
        "a: 1\nb\nc: 2\n",
        "x.yaml:3: malformed YAML: could not find expected ':' (while scanning a simple key that begins on line 2)",
    ),
    "an open bracket": (
        "a: [1, 2\nb: 3\n",
        "x.yaml:2: malformed YAML: expected ',' or ']', but got ':' "
        "(while parsing a flow sequence that begins on line 1)",
    ),
    "two documents": (
        "a: 1\n---\nb: 2\n",
        "x.yaml:2: malformed YAML: but found another document "
        "(expected a single document in the stream that begins on line 1)",
    ),
    "a forbidden character": (
        "a: 1\nb: \x00\n",
        "x.yaml:2: malformed YAML: character U+0000 is not allowed",
    ),
    "a duplicate key": (
        "learner:\n  steps: 1\n  loss: hinge\n  steps: 2\n",
        "x.yaml:4: duplicate key learner.steps\n  It is already set on line 2; keep one of the two.",
    ),
    "a list": ("- 1\n", "x.yaml:1: a configuration is a mapping, this is a list"),
    "a tag": ("a: !new [1]\n", "x.yaml:1: a: the tag !new means nothing here\n  Remove it."),
    "a wrong tag": ("a: !!int many\n", "x.yaml:1: a: 'many' is not !!int"),
    "a key that is a list": ("? [1]\n: 2\n", "x.yaml:1: the document: a key must be a word"),
    "an alias in itself": ("a: &a [1, *a]\n", "x.yaml:1: a.1: an alias contains itself"),
    "imports that are no list": (
        "imports: b.yaml\n",
        'x.yaml:1: imports: expected list of str, got "b.yaml"',
    ),
    "an import that is missing": (
        "a: 1\nimports:\n- b.yaml\n",
        "x.yaml:3: cannot read b.yaml (No such file or directory)\n"
        "  Paths under imports are relative to the file that writes them.",
    ),
    "an import of itself": ("imports: [x.yaml]\n", "x.yaml:1: imports go in a circle: x.yaml -> x.yaml"),
    "parent beside imports": (
        "parent: a.yaml\nimports: [b.yaml]\n",
        "x.yaml:1: parent and imports cannot stand together\n  Move it into imports.",
    ),
}


@pytest.mark.parametrize(("text", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_refused_with_its_line(here, text, message):
    with pytest.raises(ConfigurationError) as caught:
        document(text)
    assert str(caught.value) == message


def test_files_that_import_each_other_are_refused(here):
    write(here / "sub" / "b.yaml", "a: 1\nimports: [../x.yaml]\n")
    with pytest.raises(ConfigurationError) as caught:
        document("imports: [sub/b.yaml]\n")
    assert str(caught.value) == "sub/b.yaml:2: imports go in a circle: x.yaml -> b.yaml -> x.yaml"


def test_a_missing_file_and_one_that_is_no_text_are_refused(here):
    with pytest.raises(ConfigurationError) as caught:
        load(Path("y.yaml"))
    assert str(caught.value) == "cannot read y.yaml (No such file or directory)"
    (here / "z.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigurationError) as caught:
        load(Path("z.yaml"))
    assert str(caught.value) == "z.yaml:2: this is not UTF-8 text\n  Save the file as UTF-8."


def test_parent_is_an_import_with_a_warning(here, caplog):
    write(here / "base.yaml", "a: 1\n")
    assert document("parent: base.yaml\n").plain() == {"a": 1}
    assert caplog.messages == ["x.yaml:1: parent is deprecated, write imports: [base.yaml]"]


# -- overrides ----------------------------------------------------------------------------------------------

OVERRIDES = {
    "a number in a mapping": ("a: {b: 1, c: 2}", "a.b=3", {"a": {"b": 3, "c": 2}}),
    "a new key": ("a: 1", "b.c=3", {"a": 1, "b": {"c": 3}}),
    "a key below nothing": ("a:", "a.b=1", {"a": {"b": 1}}),
    "a list": ("a: [1]", "a=[1,2]", {"a": [1, 2]}),
    "an entry of a list": ("a: [{b: 1}, {b: 2}]", "a.1.b=3", {"a": [{"b": 1}, {"b": 3}]}),
    "a mapping, replaced": ("a: {b: 1}", "a={c: 2}", {"a": {"c": 2}}),
    "text with an equals sign": ("a: 1", "a=b=c", {"a": "b=c"}),
    "quoted text": ("a: 1", "a='3'", {"a": "3"}),
    "nothing": ("a: 1", "a=", {"a": None}),
    "a key with dots": (
        "grid: {learner.steps: [1]}",
        "grid.learner.steps=[2]",
        {"grid": {"learner.steps": [2]}},
    ),
    "an entry below a key with dots": (
        "grid: {learner.steps: [1]}",
        "grid.learner.steps.0=2",
        {"grid": {"learner.steps": [2]}},
    ),
}


@pytest.mark.parametrize(("text", "override", "expected"), OVERRIDES.values(), ids=OVERRIDES)
def test_an_override_can_set(here, text, override, expected):
    assert document(text, override).plain() == expected


REFUSED_OVERRIDES = {
    "no value": ("steps", "-c steps: an override is written path=value\n  For example: -c learner.steps=3"),
    "no path": ("=3", "-c =3: an override is written path=value\n  For example: -c learner.steps=3"),
    "an empty part": (
        "a..b=3",
        "-c a..b=3: an override is written path=value\n  For example: -c learner.steps=3",
    ),
    "an entry that is not there": (
        "seeds.2=3",
        "-c seeds.2=3: seeds.2 cannot be set: seeds (x.yaml:1) has 2 entries\n  Count from 0, or give the whole list.",
    ),
    "an index that is none": (
        "seeds.x=3",
        "-c seeds.x=3: seeds.x cannot be set: seeds (x.yaml:1) has 2 entries\n  Count from 0, or give the whole list.",
    ),
    "a path through a scalar": (
        "loss.margin=3",
        '-c loss.margin=3: loss.margin cannot be set: loss is "hinge" (x.yaml:2)\n'
        '  Write loss as a mapping, with "hinge" as its type if it names one.',
    ),
    "a malformed value": (
        "seeds=[1",
        "-c seeds=[1: malformed YAML: expected ',' or ']', but got '<stream end>' (while parsing a flow sequence)",
    ),
}


@pytest.mark.parametrize(("override", "message"), REFUSED_OVERRIDES.values(), ids=REFUSED_OVERRIDES)
def test_an_override_is_refused_for(here, override, message):
    with pytest.raises(ConfigurationError) as caught:
        document("seeds: [1, 2]\nloss: hinge\n", override)
    assert str(caught.value) == message


def test_a_grid_value_keeps_the_line_that_wrote_it(here):
    tree = document("learner:\n  loss: hinge\ngrid:\n  learner.loss:\n  - {type: hinge, margn: 2}\n")
    value = tree.require("grid").get("learner.loss").at("0")
    point = tree.with_value("learner.loss", value)
    assert (point.require("learner.loss").path, point.require("learner.loss").where) == (
        "learner.loss",
        "x.yaml:5",
    )
    with pytest.raises(UnknownKeyError) as caught:
        typed(Loss, point.require("learner.loss"), tables=TABLES)
    assert str(caught.value) == "x.yaml:5: unknown key learner.loss.margn\n  Did you mean learner.loss.margin?"


def test_data_that_the_program_sets_says_so(here):
    point = document("steps: 1\n").with_value("steps", "many", where="the grid")
    with pytest.raises(ConfigurationError, match=r'^the grid: steps: expected int, got "many"$'):
        typed(int, point.require("steps"))
    with pytest.raises(ConfigurationError, match=r"^the grid: steps is a Python complex$"):
        point.with_value("steps", 1j, where="the grid")


# -- the root -----------------------------------------------------------------------------------------------


def test_the_keys_of_a_section_are_checked_together(here):
    tree = document("id: x\nlerner: {}\nzzzz: 1\n")
    with pytest.raises(ConfigurationErrors) as caught:
        check_keys(tree.root, ["id", "learner"], required=["learner"])
    assert str(caught.value) == (
        "3 errors in the configuration\n"
        "x.yaml:2: unknown key lerner\n  Did you mean learner?\n"
        "x.yaml:3: unknown key zzzz\n  Valid here: id, learner.\n"
        "x.yaml:1: learner is missing"
    )
    check_keys(tree.root, ["id", "lerner"], required=["zzzz"])
    with pytest.raises(ConfigurationError, match=r'^x.yaml:1: id: expected a mapping, got "x"$'):
        check_keys(tree.require("id"), [])
    with pytest.raises(ConfigurationError, match=r"^x.yaml:1: learner.loss is missing$"):
        tree.require("learner.loss")


def test_problems_of_several_sections_are_raised_as_one():
    problems = Problems()
    problems.check()
    for text in ("a", "b"):
        with problems.collecting():
            raise ConfigurationError(text, where="x.yaml:1")
    with problems.collecting():
        raise ConfigurationErrors([ConfigurationError("c"), ConfigurationError("d")])
    with pytest.raises(ConfigurationErrors) as caught:
        problems.check()
    assert [error.what for error in caught.value.errors] == ["a", "b", "c", "d"]
    assert caught.value.exit_code == 2


# -- types --------------------------------------------------------------------------------------------------


def test_a_mapping_becomes_the_configuration_that_its_class_would_have_made(here):
    tree = document(
        "learner:\n"
        "  loss: {type: hinge, margin: 2}\n"
        "  sampler: null\n"
        "  steps: 1_000\n"
        "  rate: 1e-4\n"
        "  shuffled: no\n"
        "  name: no\n"
        "  teacher: null\n"
        "  depths: [10, 100]\n"
        "  losses: [squared, {type: hinge}]\n"
        "  weights: {a: 1, b: .5}\n"
        "  schedule: {warmup: 7}\n"
        "  limit: all\n"
        "  pool: MEAN\n"
    )
    built = typed(Learner, tree.require("learner"), tables=TABLES)
    by_hand = Learner.C(
        loss=Hinge.C(margin=2.0),
        steps=1000,
        rate=0.0001,
        shuffled=False,
        name="no",
        teacher=None,
        depths=[10, 100],
        losses=[Squared.C(), Hinge.C()],
        weights={"a": 1.0, "b": 0.5},
        schedule=Schedule.C(warmup=7),
        limit="all",
        pool=Pool.MEAN,
    )
    assert built.__identifier__() == by_hand.__identifier__()
    assert type(built.loss) is Hinge.C
    assert [type(loss) for loss in built.losses] == [Squared.C, Hinge.C]
    assert (type(built.weights["a"]), built.sampler, built.folder) == (float, None, None)


def test_types_without_a_class_are_read_by_the_same_rules(here):
    tree = document("seeds: [1, 2]\nid: x\nfree: {a: [1, yes]}\n")
    assert typed(list[int], tree.require("seeds")) == [1, 2]
    assert typed(str, tree.require("id")) == "x"
    assert typed(None, tree.require("free")) == {"a": [1, "yes"]}
    with pytest.raises(ConfigurationError, match=r"^x.yaml:1: seeds: expected mapping to int, got a list$"):
        typed(dict[str, int], tree.require("seeds"))
    with pytest.raises(ConfigurationError, match=r"^x.yaml:1: seeds: a set of int cannot be written in a conf"):
        typed(set[int], tree.require("seeds"))


def test_a_path_is_relative_to_the_file_that_writes_it(here, monkeypatch):
    write(here / "sub" / "b.yaml", "loss: hinge\nsteps: 1\nfolder: ../data/robust\n")
    main = write(here / "x.yaml", "imports: [sub/b.yaml]\n")
    (here / "elsewhere").mkdir()

    def folder(*overrides):
        return typed(Learner, load(main, overrides).root, tables=TABLES).folder

    monkeypatch.chdir(here / "elsewhere")
    assert folder() == here / "data" / "robust"
    assert folder("folder=data") == here / "elsewhere" / "data"
    assert folder("folder=/data") == Path("/data")
    assert folder("folder=~/data") == Path.home() / "data"


WRONG = {
    "text for a number": (
        "steps: many",
        'steps: expected int, got "many"\n  steps: Number of optimisation steps',
    ),
    "a quoted number": ("steps: '3'", 'steps: expected int, got "3"\n  Write it without quotes: 3.'),
    "true for a number": (
        "steps: true",
        "steps: expected int, got true\n  steps: Number of optimisation steps",
    ),
    "nothing for a number": (
        "steps:",
        "steps: expected int, got nothing\n  steps: Number of optimisation steps",
    ),
    "a whole float": ("steps: 1e5", "steps: expected int, got 1e5\n  Write 100_000."),
    "a float": ("steps: 1.5", "steps: expected int, got 1.5\n  steps: Number of optimisation steps"),
    "a mapping": (
        "steps: {a: 1}",
        "steps: expected int, got a mapping\n  steps: Number of optimisation steps",
    ),
    "a number too large": (
        "steps: 9223372036854775808",
        "steps: 9223372036854775808 does not fit in 64 bits",
    ),
    "true for a float": ("rate: true", "rate: expected float, got true\n  rate: Learning rate"),
    "a quoted float": ("rate: '1e-4'", 'rate: expected float, got "1e-4"\n  Write it without quotes: 1e-4.'),
    "nothing where there is a default": (
        "rate: null",
        "rate: expected float, got nothing\n  rate: Learning rate",
    ),
    "a number for a switch": ("shuffled: 1", "shuffled: expected bool, got 1\n  Write true or false."),
    "a quoted switch": ("shuffled: 'no'", 'shuffled: expected bool, got "no"\n  Write true or false.'),
    "a number for text": ("name: 0x10", 'name: expected str, got 0x10\n  Write it in quotes: "0x10".'),
    "true for text": ("name: true", 'name: expected str, got true\n  Write it in quotes: "true".'),
    "a list for text": ("name: [a]", "name: expected str, got a list"),
    "no list": ("depths: 10", "depths: expected list of int, got 10"),
    "a list with text": ("depths: [10, x]", 'depths.1: expected int, got "x"'),
    "no mapping": ("weights: [1]", "weights: expected mapping to float, got a list"),
    "a mapping with text": ("weights: {a: 1, b: x}", 'weights.b: expected float, got "x"'),
    "neither of two": ("limit: 1.5", "limit: expected int or str, got 1.5"),
    "no member": ("pool: LAST", 'pool: expected one of FIRST, MEAN, got "LAST"'),
    "a number for a path": (
        "folder: 3",
        'folder: expected path, got 3\n  Write it in quotes: "3".',
    ),
    "an empty path": ("folder: ''", 'folder: expected path, got ""\n  folder: Where to look'),
    "a constant": ("version: 2", "unknown key version\n  Valid here: "),
    "a generated path": ("model: m", "unknown key model\n  Did you mean "),
    "a misspelt key": ("stepz: 3", "unknown key stepz\n  Did you mean steps?"),
    "an unknown loss": ("loss: hing", "unknown loss hing\n  Did you mean hinge?"),
    "an unknown type": ("loss: {type: zzz}", "unknown loss zzz\n  Valid here: hinge, squared."),
    "no type": ("loss: {margin: 3}", "loss.type is missing\n  One of hinge, squared."),
    "a number for a loss": ("loss: 3", "loss: expected a name, got 3"),
    "nothing for a loss": ("loss:", "loss: expected Loss, got nothing\n  loss: What is minimised"),
    "a list for a loss": ("loss: [hinge]", "loss: expected Loss, got a list\n  loss: What is minimised"),
    "a wrong key of a loss": (
        "loss: {type: squared, margin: 3}",
        "unknown key loss.margin\n  Nothing is valid",
    ),
    "a name where there is one class": (
        "schedule: cosine",
        'schedule: expected a mapping (Schedule), got "cosine"',
    ),
    "a loss that refuses": (
        "loss: {type: hinge, margin: 0}",
        "margin must be positive\n  The usual value is 1.",
    ),
    "a loss in a list": ("losses: [hinge, hing]", "unknown loss hing\n  Did you mean hinge?"),
}


@pytest.mark.parametrize(("line", "message"), WRONG.values(), ids=WRONG)
def test_a_value_is_refused_with_its_line_and_a_remedy(here, line, message):
    required = {"loss": "loss: hinge", "steps": "steps: 3"}
    required.pop(line.partition(":")[0], None)
    tree = document("\n".join([*required.values(), "", line, ""]))
    with pytest.raises(ConfigurationError) as caught:
        typed(Learner, tree.root, tables=TABLES)
    errors = getattr(caught.value, "errors", (caught.value,))
    text = str(errors[0])
    expected = f"x.yaml:{len(required) + 2}: {message}"
    assert text == expected or (message[-1] != "." and text.startswith(expected) and text != expected)
    assert [error.where for error in errors[1:]] == ["x.yaml:1"] * (len(errors) - 1)


def test_a_missing_key_says_who_needs_it_and_what_it_is(here):
    with pytest.raises(ConfigurationError) as caught:
        typed(Learner, document("learner:\n  loss: hinge\n").require("learner"), tables=TABLES)
    assert str(caught.value) == (
        "x.yaml:2: learner.steps is missing\n  Learner needs steps (int): Number of optimisation steps"
    )


def test_all_errors_of_a_configuration_are_reported_together(here):
    tree = document("learner:\n  loss: {type: hinge, margin: x, mrgin: 1}\n  rate: fast\n  stepz: 3\n  depths: [a]\n")
    with pytest.raises(ConfigurationErrors) as caught:
        typed(Learner, tree.require("learner"), tables=TABLES)
    assert str(caught.value) == (
        "6 errors in the configuration\n"
        "x.yaml:4: unknown key learner.stepz\n  Did you mean learner.steps?\n"
        "x.yaml:2: unknown key learner.loss.mrgin\n  Did you mean learner.loss.margin?\n"
        'x.yaml:2: learner.loss.margin: expected float, got "x"\n'
        "  margin: Distance that is wanted between two scores\n"
        "x.yaml:2: learner.steps is missing\n  Learner needs steps (int): Number of optimisation steps\n"
        'x.yaml:3: learner.rate: expected float, got "fast"\n  rate: Learning rate\n'
        'x.yaml:5: learner.depths.0: expected int, got "a"'
    )


def test_what_the_program_fills_in_is_neither_required_nor_allowed(here):
    tree = document("sampler:\n  type: uniform\n  size: 3\n")
    tables = {Sampler: {"uniform": f"{__name__}.Uniform"}}
    given_ = Squared.C()
    assert typed(Sampler, tree.require("sampler"), tables=tables, wired={"data": given_}).data is given_
    later = typed(Sampler, tree.require("sampler"), tables=tables, wired=["data"])
    later.data = given_
    assert later.size == 3
    with pytest.raises(ConfigurationError, match=r"^x.yaml:2: sampler.data is missing\n"):
        typed(Sampler, tree.require("sampler"), tables=tables)
    with pytest.raises(UnknownKeyError, match=r"^-c sampler.data=x: unknown key sampler.data\n"):
        typed(Sampler, tree.with_value("sampler.data", 1, where="-c sampler.data=x").require("sampler"),
              tables=tables, wired=["data"])  # fmt: skip
    learner_ = document("loss: hinge\nsteps: 1\nsampler: {type: uniform, size: 2}\n").root
    built = typed(Learner, learner_, tables={**TABLES, **tables}, wired={"sampler.data": given_})
    assert built.sampler.data is given_


class Needs(Config):
    __xpmid__ = "tests.settings.needs"
    data: Param[Squared]
    size: Param[int] = field(default=1)

    def __validate__(self):
        if self.size <= 0:
            raise ValueError("size must be positive")
        if self.size > 1 and self.data.__identifier__() != Squared.C().__identifier__():
            raise LookupError(self.size)


def test_what_validate_refuses_points_to_the_key_that_it_names(here):
    tree = document("a:\n  size: 0\nb: {size: 2}\n")
    with pytest.raises(ConfigurationError) as caught:
        typed(Needs, tree.require("a"), wired=["data"])
    assert str(caught.value) == "x.yaml:2: a: size must be positive"


def test_what_validate_cannot_know_yet_is_checked_when_the_program_has_filled_it_in(here):
    node = document("b: {size: 2}\n").require("b")
    config = typed(Needs, node, wired=["data"])
    config.data = Squared.C()
    validate(config, node)
    with pytest.raises(ConfigurationError, match=r"^x.yaml:1: b: KeyError\('data'\)$"):
        validate(typed(Needs, node, wired=["data"]), node)


class Holds(Config):
    __xpmid__ = "tests.settings.holds"
    inner: Param[Needs]

    def __validate__(self):
        if self.inner.data is None:
            raise ValueError("inner has no data")


def test_what_depends_on_something_nested_that_is_filled_in_later_is_not_decided_yet(here):
    node = document("a: {inner: {}}\n").require("a")
    assert typed(Holds, node, wired=["inner.data"]).inner.size == 1


def test_experimaestro_does_not_run_the_validation_of_a_class_itself():
    """The day this fails, `settings.validate` may go."""
    config = Needs.C(data=Squared.C(), size=0)
    config.__xpm__.validate()


def test_experimaestro_refusing_a_value_is_an_error_with_a_line(here):
    with pytest.raises(ConfigurationError, match=r"^x.yaml:1: a: Invalid value for parameter 'data'"):
        typed(Needs, document("a: {size: 2}\n").require("a"), wired={"data": Hinge.C()})


# -- names --------------------------------------------------------------------------------------------------


class Mine(Loss):
    __xpmid__ = "tests.settings.mine"
    NAME = "mine"


class Picker(Sampler):
    __xpmid__ = "tests.settings.picker"


CLASSES = {"my_losses.Mine": Mine, "my_losses.Picker": Picker}


@pytest.mark.parametrize("name", ["mine", "Mine", "my_losses.Mine", "my_losses:Mine"])
def test_a_class_of_the_users_own_can_be_called(name):
    assert type(typed(Loss, Node.of(name, where="x"), tables=TABLES, classes=CLASSES)) is Mine.C


def test_a_class_of_an_installed_package_can_be_called_by_its_path():
    assert typed(Config, Node.of("xpm_ce.jobs:Job", where="x")).__xpmtype__.identifier.name == "xpm_ce.job"


UNKNOWN = {
    "another family": ("Picker", "x.yaml:1: loss: Picker is a Sampler, not a Loss"),
    "another family by its path": (
        "my_losses:Picker",
        "x.yaml:1: loss: my_losses:Picker is a Sampler, not a Loss",
    ),
    "no class of the file": (
        "my_losses:Mime",
        "x.yaml:1: unknown loss my_losses:Mime\n  Valid here: Mine, Picker.",
    ),
    "a misspelling": ("Mind", "x.yaml:1: unknown loss Mind\n  Did you mean mine?"),
    "no module": (
        "nowhere.Mine",
        "x.yaml:1: loss: cannot import nowhere.Mine (No module named 'nowhere')",
    ),
    "no class": (
        "json:Mine",
        "x.yaml:1: loss: cannot import json.Mine (module 'json' has no attribute 'Mine')",
    ),
    "a function": ("json.dumps", "x.yaml:1: loss: json.dumps is a Python function, not a Loss"),
    "a file that is not listed": (
        f"{__name__}:Hinge",
        f"x.yaml:1: loss: {__name__} is a single file, whose changes no identity would notice\n"
        "  List its path under extensions.",
    ),
    "two classes": (
        "hinge",
        f"x.yaml:1: loss: hinge is the name of other.Hinge and of {__name__}.Hinge\n"
        "  Rename one, or write the whole path of yours.",
    ),
}


@pytest.mark.parametrize(("name", "message"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_name_is_refused_for(here, name, message):
    tree = document(f"loss: {name}\n")
    with pytest.raises(ConfigurationError) as caught:
        typed(Loss, tree.require("loss"), tables=TABLES, classes={**CLASSES, "other.Hinge": Hinge})
    assert str(caught.value) == message


# -- fields -------------------------------------------------------------------------------------------------


def test_the_fields_of_a_class_are_its_arguments_with_their_documentation():
    assert fields(Uniform, wired=["data"]) == [Field("size", "int", None, "Documents per group", True, True)]
    rows = {row.name: row for row in fields(Learner)}
    assert list(rows) == [
        *("loss", "sampler", "steps", "rate", "shuffled", "name", "teacher", "depths", "losses", "weights"),
        *("schedule", "limit", "pool", "folder"),
    ]
    assert rows["steps"] == Field("steps", "int", None, "Number of optimisation steps", True, True)
    assert rows["rate"] == Field("rate", "float", 1e-5, "Learning rate", False, True)
    assert rows["folder"] == Field("folder", "path", None, "Where to look", False, False)
    assert [rows[name].type for name in ("losses", "weights", "limit", "pool")] == [
        "list of Loss",
        "mapping to float",
        "int or str",
        "one of FIRST, MEAN",
    ]


@given(
    st.fixed_dictionaries(
        {"steps": st.integers(-(2**63) + 1, 2**63 - 1)},
        optional={
            "rate": st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
            "shuffled": st.booleans(),
            "name": letters,
            "teacher": st.none() | letters,
            "depths": st.lists(st.integers(-9, 9)),
            "weights": st.dictionaries(keys, st.floats(allow_nan=False)),
        },
    )
)
def test_whatever_is_written_is_what_the_configuration_holds(values):
    built = learner(MINIMAL, **values)
    assert {name: getattr(built, name) for name in values} == values
