"""Large libraries are imported without looks for garbage, which are what they were before afterwards."""

import gc
import sys

import pytest

from xpm_ce.libraries import LARGE, loading


@pytest.fixture
def unloaded(monkeypatch):
    """As in a process that has not loaded the large libraries; what is set aside is given back."""
    monkeypatch.delitem(sys.modules, LARGE, raising=False)
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_made_meanwhile_is_set_aside_and_garbage_is_looked_for_again(unloaded):
    before = gc.get_freeze_count()
    with loading():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() - before > len(made)


def test_garbage_is_looked_for_again_after_an_error(unloaded):
    with pytest.raises(ImportError), loading():
        raise ImportError
    assert gc.isenabled()


def test_a_process_that_looks_for_no_garbage_is_left_as_it_is(unloaded):
    gc.disable()
    before = gc.get_freeze_count()
    with loading():
        pass
    assert not gc.isenabled()
    assert gc.get_freeze_count() == before


def test_nothing_is_done_where_the_libraries_are_there(monkeypatch):
    monkeypatch.setitem(sys.modules, LARGE, sys)
    before = gc.get_freeze_count()
    with loading():
        assert gc.isenabled()
    assert gc.get_freeze_count() == before
