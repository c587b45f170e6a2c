"""The documents keep up with the code: links resolve, every record and every offset is described.

Reads the source tree only; builds and imports nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
# Trees that are made by builds, or are not ours.
LEFT_OUT = {"build", "dist", "node_modules", "venv", ".venv", "site-packages"}
LAYOUT_HEADERS = [
    *(ROOT / "cpp" / "ipc" / name for name in ("ring.h", "bell.h", "link.h", "records.h")),
    ROOT / "cpp" / "base" / "location.h",
]

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the source tree is not here")


def pages():
    """Every Markdown file of the tree."""
    found = []
    for path in sorted(ROOT.rglob("*.md")):
        parts = path.relative_to(ROOT).parts[:-1]
        if not any(part in LEFT_OUT or part.startswith(".") for part in parts):
            found.append(path)
    return found


def prose(page):
    """A page's text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page):
    """The anchors of a page's headings, as the usual renderers make them."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", title.lower())
        found.add(words.strip().replace(" ", "-"))
    return found


def record_types():
    source = (ROOT / "cpp" / "ipc" / "records.h").read_text("utf-8")
    body = re.search(r"enum class RecordType[^{]*\{(.*?)\};", source, re.DOTALL).group(1)
    return re.findall(r"^\s*(k\w+) = \d+", body, re.MULTILINE)


def asserted(pattern):
    """What static_asserts of the layout headers say: (struct, field or "", number)."""
    found = []
    for header in LAYOUT_HEADERS:
        for match in re.finditer(pattern, header.read_text("utf-8")):
            found.append(match.groups())
    return found


def test_relative_links_resolve():
    broken = []
    for page in pages():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            where = f"{page.relative_to(ROOT)}: {target}"
            if not file.exists():
                broken.append(where)
            elif anchor and anchor not in anchors(file):
                broken.append(f"{where} (no such heading)")
    assert broken == []


def test_every_record_type_is_in_the_protocol():
    text = (DOCS / "protocol.md").read_text("utf-8")
    types = record_types()
    assert len(types) > 20, "the enumeration was not found"
    missing = [name for name in types if not re.search(rf"\*\*{name}\*\*", text)]
    assert missing == [], f"docs/protocol.md has no paragraph for {missing}"


def test_no_record_type_in_the_protocol_is_unknown():
    text = (DOCS / "protocol.md").read_text("utf-8")
    unknown = set(re.findall(r"^\*\*(k\w+)\*\*", text, re.MULTILINE)) - set(record_types())
    assert unknown == set()


def test_every_asserted_offset_is_in_the_layout():
    lines = (DOCS / "shared_memory_layout.md").read_text("utf-8").splitlines()
    offsets = asserted(r"static_assert\(offsetof\((\w+), (\w+)\) == (\d+)\)")
    assert offsets, "no static_assert on an offset was found"
    missing = [
        f"{struct}::{field} at {offset}"
        for struct, field, offset in offsets
        if not any(line.startswith(f"| {offset} | `{field}`") for line in lines)
    ]
    assert missing == []


def test_every_asserted_size_is_in_the_layout():
    text = (DOCS / "shared_memory_layout.md").read_text("utf-8")
    sizes = asserted(r"static_assert\(sizeof\((\w+)\) == (\d+)")
    assert len(sizes) >= 5, "no static_assert on a size was found"
    missing = [f"{s} of {n}" for s, n in sizes if f"sizeof({s}) == {n}" not in text]
    assert missing == []


def test_decisions_are_short_and_have_their_parts():
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert decisions
    for page in decisions:
        lines = page.read_text("utf-8").splitlines()
        assert len(lines) <= 40, f"{page.name} has {len(lines)} lines, at most 40 are wanted"
        assert re.fullmatch(rf"# {int(page.name[:4])}\. .+", lines[0]), page.name
        for part in ("## Context", "## Decision", "## Consequences"):
            assert part in lines, f"{page.name} lacks {part!r}"


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reliability.md"])
def test_every_test_that_a_promise_names_is_there(page):
    text = (ROOT / page).read_text("utf-8")
    tests = [*(ROOT / "tests" / "python").rglob("test_*.py")]
    known = {path.name for path in tests}
    for path in tests:
        known.update(re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"test_\w+(?:\.py)?", text))
    assert len(named) > 5
    assert named - known == set()
