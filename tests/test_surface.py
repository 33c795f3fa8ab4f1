"""The public surface: a decision, not an accident."""

import subprocess
import sys

import pytest

import xpm_ce


@pytest.mark.parametrize("name", xpm_ce.__all__)
def test_a_public_name_is_there_and_documented(name):
    found = getattr(xpm_ce, name)
    assert found.__name__ == name
    assert found.__doc__


def test_the_surface_is_what_it_says_it_is():
    assert xpm_ce.__all__ == sorted(xpm_ce.__all__) == dir(xpm_ce)
    assert len(xpm_ce.__all__) == 16, "a new public name is a decision: change this number with it"


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(AttributeError, match="has no attribute 'Lerner'; it has AdrMse, Architecture"):
        xpm_ce.Lerner  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    code = "import sys, xpm_ce; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = process.stdout.split()
    assert not {"numpy", "torch", "experimaestro", "yaml", "click"} & set(loaded)
    assert [name for name in loaded if name.startswith("xpm_ce")] == ["xpm_ce"]
