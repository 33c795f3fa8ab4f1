"""The page's files: a fixed list, read once from the package; a request only picks one of them by its whole name.

This module does not know what is in them.
"""

import dataclasses
from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
PAGE = "index.html"
_SCRIPT = "text/javascript; charset=utf-8"
KINDS = {
    ".html": "text/html; charset=utf-8", ".js": _SCRIPT, ".mjs": _SCRIPT, ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2",
    ".json": "application/json",
}  # fmt: skip
"""What is served, by the ending of its name; other files are not"""
NO_PAGE = b"<!doctype html><html lang=en><meta charset=utf-8><title>xpm-ce monitor</title><p>No page in this package."


@dataclasses.dataclass(frozen=True)
class Asset:
    """One file of the page."""

    kind: str
    content: bytes


def read_assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """The files by their paths below the folder, with forward slashes."""
    found = {
        path.relative_to(folder).as_posix(): Asset(KINDS[path.suffix], path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in KINDS
    }
    found.setdefault(PAGE, Asset(KINDS[".html"], NO_PAGE))
    return found
