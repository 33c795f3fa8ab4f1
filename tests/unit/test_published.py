"""The page about backbones shows the rows as they are."""

import os
import re
from pathlib import Path

from xpm_ce.scorers.published import PUBLISHED

PAGE = Path(__file__).parent.parent.parent / "docs" / "backbones.md"
BEGIN, END = "<!-- rows -->", "<!-- end of rows -->"
HEAD = "| name | repository, commit | family | tokens of a pair | types | capitals | template | parameters | licence |"


def rows():
    """The table of the published encoders, and what goes wrong with each."""
    lines = [HEAD, "|" + "---|" * HEAD.count(" | ") + "---|"]
    for name, row in PUBLISHED.items():
        commit = f"`{row.revision[:12]}`" if row.revision else "none on record"
        capitals = "kept" if not row.lower_case else "lowered" if row.says_lower_case else "lowered, made to"
        lines.append(
            f"| `{name}` | [{row.id}](https://huggingface.co/{row.id}), {commit} | {row.family} "
            f"| {row.usable_positions} | {row.token_types if row.token_types > 1 else 'none'} | {capitals} | "
            f"{'files' if row.template_in_files else 'class'} | {row.millions} M | {row.licence} |"
        )
    traps = {}
    for name, row in PUBLISHED.items():
        for trap in (*row.row.traps, *row.traps):
            traps.setdefault(trap, []).append(f"`{name}`")
    return "\n".join([*lines, "", *(f"- {', '.join(names)}: {trap}." for trap, names in traps.items())])


def test_the_page_shows_every_row_and_every_trap():
    page = PAGE.read_text()
    wanted = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{rows()}\n{END}", page, flags=re.S)
    if os.environ.get("XPM_CE_UPDATE_DOCS"):
        PAGE.write_text(wanted)
    assert page == wanted, "XPM_CE_UPDATE_DOCS=1 pytest tests/unit/test_published.py rewrites it"


def test_shapes_are_possible():
    for row in PUBLISHED.values():
        assert row.hidden_size % row.heads == 0
        assert row.usable_positions <= row.max_position_embeddings
        assert row.specials in (3, 4)
