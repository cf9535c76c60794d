"""The numbers that a page prints: where they are, and which of them have to come from a record.

Counted are all numbers with a decimal point and all percentages, in tables and in prose, and whole
numbers that are alone in a cell of a table. Code is no text. Whole numbers in prose are not looked
for, as most of them are settings; a claim may hold them all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Span = tuple[int, int]

CODE = re.compile(r"^```.*?^```$|`[^`\n]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
HEAD = re.compile(r"^\|.*\|\n(?=\|[-| :]+\|$)", re.MULTILINE)
CELL = re.compile(r"(?<=\|)[^|\n]*(?=\|)")
WHOLE = re.compile(r"\s*[−-]?(\d[\d,]*)\s*")
DECIMAL = re.compile(r"(?<![\w.])(\d[\d,]*\.\d+)(?![\w.]*\d)")
PERCENT = re.compile(r"(?<![\w.])(\d+) ?%")
HEADING = re.compile(r"^(#+) (.*)$", re.MULTILINE)


def all_pages() -> dict[str, Path]:
    """The pages that may print results, by their names."""
    found = [ROOT / "README.md", ROOT / "experiments/README.md", *(ROOT / "docs").rglob("*.md")]
    return {path.relative_to(ROOT).as_posix(): path for path in sorted(found)}


def read_pages() -> dict[str, str]:
    """The text of each page."""
    return {name: path.read_text(encoding="utf-8") for name, path in all_pages().items()}


def numbers(text: str) -> set[Span]:
    """Where the numbers are that count."""
    plain = without_code(text)
    return {*_of(DECIMAL, plain), *_of(PERCENT, plain), *_alone_in_a_cell(plain)}


def without_code(text: str) -> str:
    """The page with blanks in the place of code, of where links lead, and of heads of tables."""
    return HEAD.sub(_blank, CODE.sub(_blank, text))


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _of(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (match.span(1) for match in pattern.finditer(text))


def _alone_in_a_cell(text: str) -> Iterator[Span]:
    for row in ROW.finditer(text):
        for cell in CELL.finditer(text, *row.span()):
            number = WHOLE.fullmatch(text, *cell.span())
            if number:
                yield number.span(1)


def section(text: str, title: str) -> Span | None:
    """From a heading to the next one that is not below it."""
    heads = list(HEADING.finditer(text))
    for place, head in enumerate(heads):
        if head[2] == title:
            later = (h.start() for h in heads[place + 1 :] if len(h[1]) <= len(head[1]))
            return head.start(), next(later, len(text))
    return None


def line_of(text: str, place: int) -> int:
    """The number of the line that a place is in."""
    return text.count("\n", 0, place) + 1
