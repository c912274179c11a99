"""The pages for those who read the code: each room of the package, and each decision."""

from __future__ import annotations

import re
from pathlib import Path

import architecture
import pytest
from test_imports import ORDER

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
DECISIONS = sorted(set((ROOT / "docs/decisions").glob("*.md")) - {ROOT / "docs/decisions/index.md"})
#: A decision fills a screen.
LONGEST = 45


def rooms() -> set[str]:
    return {path.parent.name for path in (ROOT / "detector").glob("*/__init__.py")}


def test_every_room_has_a_paragraph_and_a_place_in_the_picture() -> None:
    assert set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)) == rooms()
    words = set(re.findall(r"\w+", " ".join(box.name for box in architecture.BOXES) + " watch"))
    assert rooms() - words == set()


def test_the_order_of_the_rooms_is_that_of_the_test_of_imports() -> None:
    (told,) = re.findall(r"\n\n((?: {4}.*\|.*\n)+)", PAGE)
    assert re.findall(r"\w+", told) == [stage for stages in ORDER for stage in stages]


def test_the_boxes_of_the_picture_lie_beside_each_other() -> None:
    cells = [(box.column + at, box.row) for box in architecture.BOXES for at in range(box.columns)]
    assert len(set(cells)) == len(cells)
    for box in architecture.BOXES:
        assert box.left + box.wide < architecture.WIDTH
        assert box.top + architecture.HIGH < architecture.HEIGHT
        # A letter of 12 pixels is some 7 wide.
        assert max(map(len, box.lines)) * 7 < box.wide + 12


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_when_why_what_else_and_what_follows(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    heads = ["Context", "Decision", "Alternatives", "Consequences"]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == heads
    assert re.match(r"# .+\n\n[A-Z][a-z]+ 20\d\d, (accepted|superseded by \[)", text)
    assert len(text.splitlines()) <= LONGEST
    index = (ROOT / "docs/decisions/index.md").read_text(encoding="utf-8")
    assert f"- [{text.splitlines()[0].removeprefix('# ')}]({path.name})\n" in index
