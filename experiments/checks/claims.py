"""What the pages claim: `claims.txt`, read line by line.

    page README.md                      what follows is about this page
    under TITLE                         and about this section of it, until the next page
    rows STUDY | DATA | METHOD          and about these rows of a record
    | `IFlow` | {mean} ({min}–{max}) |  words of the page, numbers that are checked in braces
    except WORDS: reason                numbers in words like these come from no record
    section TITLE: reason               none of this section do
    whole page: reason                  none of this page do

A brace holds the name of a statistic; `{mean @ VAE}` is of other rows: of another METHOD, DATA |
METHOD or STUDY | DATA | METHOD, with * for all; `{nats @ A less nats @ B}` is a difference. Digits
outside of braces have to be as written, and are not counted as checked. WORDS are a regular
expression; a blank stands for any space, the end of a line too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from experiments.checks.pages import Span, section
from experiments.checks.records import Query, Rows, matching, value

FILE = Path(__file__).with_name("claims.txt")
WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
WORDS += "thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty".split()
NUMBER = rf"([−-]?\d[\d,]*(?:\.\d+)?|\b(?:{'|'.join(WORDS)})\b)"
BRACES = re.compile(r"\{([^{}]*)\}")


class Term(NamedTuple):
    """A statistic of some rows."""

    statistic: str
    query: Query

    def __str__(self) -> str:
        return f"{self.query}: {self.statistic}"


class Claim(NamedTuple):
    """Words of a page and, for each number in them, the terms it is the difference of."""

    words: str
    section: str
    pattern: re.Pattern[str]
    terms: tuple[tuple[Term, ...], ...]


class Exempt(NamedTuple):
    """Numbers that come from no record, and why: by words, by section, or all of a page."""

    kind: str
    words: str
    reason: str


@dataclass
class PageClaims:
    """All that is said of a page."""

    claims: list[Claim] = field(default_factory=list)
    exempt: list[Exempt] = field(default_factory=list)


class Printed(NamedTuple):
    """A number of a page beside what the record gives."""

    page: str
    what: str
    printed: str
    record: str
    span: Span

    @property
    def ok(self) -> bool:
        """Whether they are the same to the digits printed."""
        return as_digits(self.printed) == self.record


def read(text: str) -> dict[str, PageClaims]:
    """The claims of every page."""
    pages: dict[str, PageClaims] = {}
    page, rows, title = PageClaims(), Query(""), ""
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "page":
            page, title = pages.setdefault(rest, PageClaims()), ""
        elif word == "under":
            title = rest
        elif word == "rows":
            rows = _query(rest, Query(""))
        elif word in ("except", "section", "whole"):
            words, _, reason = rest.rpartition(": ")
            page.exempt.append(Exempt(word, words, reason))
        else:
            page.claims.append(_claim(line, title, rows))
    return pages


def _claim(line: str, title: str, rows: Query) -> Claim:
    words = BRACES.split(line)
    pattern = "".join(NUMBER if i % 2 else spaced(re.escape(w)) for i, w in enumerate(words))
    terms = tuple(tuple(_terms(inside, rows)) for inside in words[1::2])
    return Claim(line, title, re.compile(pattern), terms)


def _terms(inside: str, rows: Query) -> Iterator[Term]:
    for part in inside.split(" less "):
        statistic, _, other = part.partition(" @ ")
        yield Term(statistic.strip(), _query(other, rows) if other else rows)


def _query(text: str, rows: Query) -> Query:
    """What is given replaces the last parts of the rows that are spoken of."""
    given = [None if part.strip() == "*" else part.strip() for part in text.split(" | ")]
    parts = [*rows[: 3 - len(given)], *given] if rows.study else [*given, None, None][:3]
    return Query(str(parts[0]), parts[1], parts[2])


def spaced(pattern: str) -> str:
    """A pattern whose blanks stand for any space."""
    return re.sub(r"(?:\\? )+", r"\\s+", pattern)


def found(page: str, text: str, claim: Claim, records: Mapping[str, Rows]) -> Iterator[Printed]:
    """The numbers of a claim, wherever its words are; one that says so if they are nowhere."""
    within = section(text, claim.section) or (0, 0) if claim.section else (0, len(text))
    matches = list(claim.pattern.finditer(text, *within))
    if not matches:
        yield Printed(page, claim.words, "not found", "", (0, 0))
    for match in matches:
        for place, terms in enumerate(claim.terms, start=1):
            printed = match[place]
            record = _recorded(terms, printed, records)
            yield Printed(page, " less ".join(map(str, terms)), printed, record, match.span(place))


def _recorded(terms: tuple[Term, ...], printed: str, records: Mapping[str, Rows]) -> str:
    """What the record gives, to the digits printed; or that it gives nothing."""
    try:
        first, *others = (value(matching(records, t.query), t.statistic) for t in terms)
    except ValueError as error:
        return str(error)
    return rounded(first - sum(others), printed)


def rounded(number: float, printed: str) -> str:
    """A number with as many digits as one that is printed."""
    return format(number, f".{len(as_digits(printed).partition('.')[2])}f")


def as_digits(printed: str) -> str:
    """A printed number as Python writes it."""
    if printed in WORDS:
        return str(WORDS.index(printed))
    return printed.replace("−", "-").replace(",", "")
