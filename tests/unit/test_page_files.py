"""The files of the monitor's page: libraries as fetched, all in the wheel, and no way for data to become code."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ASSETS = ROOT / "xpm_ce" / "monitor" / "assets"
MANIFESTS = [ASSETS / "vendor" / "manifest.json", ROOT / "tests" / "browser" / "vendor" / "manifest.json"]
OURS = sorted([*ASSETS.glob("*.js"), *(ASSETS / "views").glob("*.js")])
FIRST_VIEW = "views/jobs.js"


def imports(module: Path) -> list[str]:
    """The modules that a module needs before it runs, relative to the assets."""
    found = re.findall(r'^(?:import|export) .*?from "(\.[^"]+)";', module.read_text(), re.MULTILINE)
    return [str((module.parent / each).resolve().relative_to(ASSETS)) for each in found]


def needed_by(module: str) -> set[str]:
    """A module and all that it needs."""
    found, waiting = set(), [module]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += imports(ASSETS / each)
    return found


class Names(HTMLParser):
    """Attributes of elements, by element."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=["page", "tests"])
def test_libraries_are_byte_for_byte_those_of_the_manifest_with_their_licences(manifest):
    folder = manifest.parent
    libraries = json.loads(manifest.read_text())["libraries"]
    listed = {name: described["sha256"] for library in libraries for name, described in library["files"].items()}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path != manifest}
    assert there == listed
    for library in libraries:
        assert any(name.endswith(".LICENSE") for name in library["files"]), library["name"]
        assert re.fullmatch(r"[0-9a-f]{64}", library["tarball_sha256"])


def test_the_wheel_holds_every_file_of_the_page_and_needs_no_node(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "xpm_ce", source / "xpm_ce", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    # No PATH: nothing but Python takes part.
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=source, capture_output=True, text=True, env={"PATH": ""}
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        packed = {name for name in wheel.namelist() if "/assets/" in name}
    assert packed == {str(path.relative_to(ROOT)) for path in ASSETS.rglob("*") if path.is_file()}


def test_the_page_asks_at_once_for_all_that_its_first_view_needs_and_for_no_more():
    elements = Names((ASSETS / "index.html").read_text()).found
    preloaded = {each["href"] for tag, each in elements if tag == "link" and each["rel"] == "modulepreload"}
    assert preloaded == {f"/assets/{name}" for name in needed_by("app.js") - {"app.js"}}
    assert f"/assets/{FIRST_VIEW}" in preloaded


def test_every_import_is_a_file():
    for module in OURS:
        text = module.read_text()
        assert all((ASSETS / name).is_file() for name in imports(module)), module
        lazily = re.findall(r'import\("(\.[^"]+)"\)', text)
        assert all((module.parent / name).is_file() for name in lazily), module


@pytest.mark.parametrize("module", OURS, ids=lambda path: path.name)
def test_data_cannot_become_markup_or_code(module):
    text = module.read_text()
    for name in (
        "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc",
        "javascript:", "dangerouslySetInnerHTML", "setAttribute(\"style",
    ):  # fmt: skip
        assert name not in text, name
    assert not re.search(r'style="', text), "a style that the page's policy refuses"
    assert not re.search(r"https?://(?!www\.w3\.org)", text), "an address beyond this machine"


def test_the_document_has_no_script_or_style_of_its_own():
    elements = Names((ASSETS / "index.html").read_text()).found
    assert all("src" in attributes for tag, attributes in elements if tag == "script")
    assert not any(tag == "style" or "style" in attributes for tag, attributes in elements)
    assert not any(name.startswith("on") for _, attributes in elements for name in attributes)


@pytest.mark.parametrize("module", OURS, ids=lambda path: path.name)
def test_every_module_says_what_it_is(module):
    assert module.read_text().startswith("// ")
