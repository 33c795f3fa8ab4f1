"""Versions of what is installed, and what says whether there is a network. This module does not know what needs it."""

import os
import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from xpm_ce.doctor.finding import Finding, doubtful, fine, wrong
from xpm_ce.network import SWITCHES, offline

CHECKOUT = Path(__file__).parents[2]


def software() -> Iterator[Finding]:
    """Python, the packages that xpm-ce needs, and those that it was tested with."""
    yield fine("python", f"{platform.python_version()} on {platform.system()} {platform.release()}")
    needed = [Requirement(text) for text in required()]
    needed = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    unfit = []
    for each in needed:
        version = installed(each.name)
        if version is None:
            unfit.append(f"{each.name} is not installed")
        elif not each.specifier.contains(version, prereleases=True):
            unfit.append(f"{each.name} {version} is not {each.specifier}")
    for what in unfit:
        yield wrong("packages", what, "Install again: pip install --constraint constraints.txt .")
    if not unfit:
        yield fine("packages", f"{len(needed)} required packages are installed, in versions that fit")
    yield from tested()


def required() -> list[str]:
    """What the package requires: by pyproject.toml where this is a checkout, else by what was installed."""
    project = CHECKOUT / "pyproject.toml"
    if project.exists():
        return list(tomllib.loads(project.read_text())["project"]["dependencies"])
    return metadata.requires("xpm-ce") or []


def tested() -> Iterator[Finding]:
    """What is installed in another version than the one that the tests ran with, in a checkout."""
    constraints = CHECKOUT / "constraints.txt"
    if not constraints.exists():
        return
    pinned = dict(line.split("==") for line in constraints.read_text().split() if line.count("==") == 1)
    direct = {canonicalize_name(Requirement(text).name) for text in required()}
    other = []
    for name, version in pinned.items():
        found = installed(name)
        if canonicalize_name(name) in direct and found is not None and found.partition("+")[0] != version:
            other.append(f"{name} {found} (tested: {version})")
    if other:
        remedy = "Numbers may differ in the last digits. The tested ones: pip install --constraint constraints.txt ."
        yield doubtful("packages", ", ".join(other), remedy)


def installed(name: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def network() -> Iterator[Finding]:
    """What says that there is no network, and where models are kept."""
    reason = offline()
    switches = ", ".join(SWITCHES)
    yield fine("network", f"nothing is downloaded: {reason}" if reason else f"may be used (none of {switches} is set)")
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    hub = home.expanduser() / "hub"
    models = len(list(hub.glob("models--*")))
    if reason and not models:
        remedy = "`xpm-ce data prepare FILE` where there is a network, with the same HF_HOME, fetches what FILE needs."
        yield doubtful("models", f"there is no network, and no model in {hub}", remedy)
    else:
        yield fine("models", f"{models} models of the hub in {hub}")
