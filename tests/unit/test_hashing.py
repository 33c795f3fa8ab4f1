"""Our identifiers are experimaestro's, for any value of any argument."""

from typing import Optional

import pytest
from conftest import plan_of
from experimaestro import Config, Constant, Meta, Param, field, setmeta
from experimaestro.core.identifier import IdentifierComputer
from hypothesis import given, settings
from hypothesis import strategies as st

from xpm_ce.graph import hashing
from xpm_ce.graph.hashing import identifier
from xpm_ce.graph.naming import _freeze


class Inner(Config):
    __xpmid__ = "tests.hashing.inner"
    number: Param[int] = field(default=3, ignore_default=True)
    text: Param[Optional[str]] = field(default=None)


class Outer(Config):
    __xpmid__ = "tests.hashing.outer"
    version: Constant[int] = 2
    number: Param[int] = field(default=3)
    share: Param[Optional[float]] = field(default=None, ignore_default=True)
    flag: Param[bool] = field(default=False, ignore_default=True)
    places: Param[list[int]] = field(default_factory=list)
    inner: Param[Optional[Inner]] = field(default=None)
    several: Param[list[Inner]] = field(default_factory=list)
    named: Param[dict[str, float]] = field(default_factory=dict)
    nowhere: Meta[int] = field(default=1)


whole = st.integers(-(2**40), 2**40)
inner = st.builds(lambda number, text: {"number": number, "text": text}, st.just(3) | whole, st.none() | st.text())
outer = st.fixed_dictionaries(
    {},
    optional={
        "number": whole, "share": st.none() | st.floats(allow_nan=False), "flag": st.booleans(),
        "places": st.lists(whole, max_size=4), "inner": st.none() | inner, "several": st.lists(inner, max_size=3),
        "named": st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False), max_size=3), "nowhere": whole,
    },
)  # fmt: skip


def made(values: dict) -> Outer:
    values = dict(values)
    if values.get("inner") is not None:
        values["inner"] = Inner.C(**values["inner"])
    if "several" in values:
        values["several"] = [Inner.C(**each) for each in values["several"]]
    return Outer.C(**values)


def sealed(config: Config) -> Config:
    """A configuration of which all nested ones are sealed."""
    _freeze(config)
    config.__xpm__._sealed = False
    return config


@settings(deadline=None)
@given(outer)
def test_an_identifier_is_that_of_experimaestro(values):
    config = sealed(made(values))
    own = hashing._digest(config.__xpm__)
    assert own == IdentifierComputer.compute(made(values)).main
    assert identifier(config).main == own


def test_what_is_said_to_be_no_part_of_the_identity_is_none():
    one, without = made({"inner": {"number": 1}, "number": 5}), made({"number": 5})
    setmeta(one.inner, True)
    expected = IdentifierComputer.compute(one).main
    assert hashing._digest(sealed(one).__xpm__) == expected == IdentifierComputer.compute(without).main


def test_where_the_two_do_not_agree_experimaestro_is_believed(monkeypatch):
    monkeypatch.setattr(hashing, "_agrees", {})
    monkeypatch.setattr(hashing, "_digest", lambda information: b"\0" * 32)
    for number in (1, 2):
        assert (
            identifier(sealed(made({"number": number}))).main
            == IdentifierComputer.compute(made({"number": number})).main
        )
    assert list(hashing._agrees.values()) == [False]


@pytest.mark.parametrize("override", ["learner.steps=9", "learner.weight_decay=0.1"])
def test_every_configuration_of_a_study_is_computed_here(override, workspace, monkeypatch):
    left: list[str] = []
    digest = hashing._digest

    def watched(information):
        try:
            return digest(information)
        except hashing.NotPlainError:
            left.append(str(information.xpmtype.identifier))
            raise

    monkeypatch.setattr(hashing, "_digest", watched)
    monkeypatch.setattr(hashing, "_agrees", {})
    plan = plan_of(workspace, override)
    assert left == []
    assert set(hashing._agrees.values()) == {True}
    for job in plan.jobs:
        information = job.config.__xpm__
        information._sealed, information.task = False, None
        assert IdentifierComputer.compute(job.config).main.hex() == job.identity
