"""Numbers that the pages print beside those of their records, and numbers that have none.

Two more things are looked for. A number of a page that no claim and no exception covers
(`pages.numbers` says which count); and, where a page prints a score of ours, rows of the same data
that are better and are not on that page. Claims and exceptions are in `claims.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from statistics import mean
from typing import NamedTuple

from experiments.checks import claims, pages, records
from experiments.checks.claims import PageClaims, Printed
from experiments.checks.pages import Span
from experiments.checks.records import Query, Rows

Claims = Mapping[str, PageClaims]
Texts = Mapping[str, str]
Records = Mapping[str, Rows]
# Of these every method is ours, but for the last.
WITHOUT_SOURCES = ("sachs", "gin_spectrum")
SCORES = ("mean", "min", "max", "nats")


class Found(NamedTuple):
    """All that the check has found."""

    printed: list[Printed]
    not_covered: list[str]
    stale: list[str]
    left_out: list[str]

    @property
    def wrong(self) -> list[Printed]:
        """Numbers that are not those of the record."""
        return [number for number in self.printed if not number.ok]

    def __str__(self) -> str:
        return (
            f"{len(self.printed)} numbers are compared: {len(self.wrong)} differ, "
            f"{len(self.not_covered)} are not covered, {len(self.left_out)} better rows are left "
            f"out, {len(self.stale)} exceptions are of nothing."
        )


def main(smoke: bool = False, jobs: int = 1) -> None:
    """Print the table, then what is wrong; exit with 1 if anything is. Smoke: README.md alone."""
    texts, said = pages.read_pages(), claims.read(claims.FILE.read_text(encoding="utf-8"))
    if smoke:
        texts = {"README.md": texts["README.md"]}
    result = check(texts, said, records.read())
    print("| page | what | printed | record | ok |\n|---|---|---|---|---|")
    for number in result.printed:
        print(f"| {' | '.join(number[:4])} | {'yes' if number.ok else 'NO'} |")
    for line in chain(result.not_covered, result.stale, result.left_out):
        print(line)
    print(result)
    if result.wrong or result.not_covered or result.stale or result.left_out:
        raise SystemExit(1)


def check(texts: Texts, said: Claims, kept: Records) -> Found:
    """Every page against the claims, the exceptions and the records."""
    printed, bare, stale, better = [], [], [], []
    for page, text in texts.items():
        of_page = said.get(page, PageClaims())
        here = list(chain.from_iterable(claims.found(page, text, c, kept) for c in of_page.claims))
        spans, unused = exempt_spans(page, text, of_page)
        printed += here
        stale += unused
        bare += not_covered(page, text, [*spans, *(number.span for number in here)])
        better += left_out(page, of_page, kept)
    return Found(printed, bare, stale, better)


def exempt_spans(page: str, text: str, said: PageClaims) -> tuple[list[Span], list[str]]:
    """Where a page is exempt, and the exceptions that are of nothing on it."""
    spans: list[Span] = []
    stale = []
    for exempt in said.exempt:
        here = list(_places(text, exempt))
        spans += here
        if not any(_inside(number, here) for number in pages.numbers(text)):
            stale.append(f"{page}: no number in {exempt.kind} {exempt.words!r}, which is exempt")
    return spans, stale


def _places(text: str, exempt: claims.Exempt) -> Iterator[Span]:
    if exempt.kind == "whole":
        yield 0, len(text)
    elif exempt.kind == "section":
        yield pages.section(text, exempt.words) or (0, 0)
    else:
        pattern = claims.spaced(exempt.words)
        yield from (match.span() for match in re.finditer(pattern, text))


def not_covered(page: str, text: str, covered: list[Span]) -> list[str]:
    """Numbers that are in no span."""
    bare = sorted(span for span in pages.numbers(text) if not _inside(span, covered))
    return [f"{page}:{pages.line_of(text, a)}: {text[a:b]} is not covered" for a, b in bare]


def _inside(span: Span, spans: list[Span]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in spans)


def left_out(page: str, said: PageClaims, kept: Records) -> list[str]:
    """Methods that score better than the best of ours on a page, and are not on it."""
    shown = scored(said)
    lines = []
    for (study, data), methods in shown.items():
        score = {m: _score(kept, Query(study, data, m)) for m in _methods(kept, study, data)}
        ours = [score[m] for m in methods & score.keys() if is_ours(study, m)]
        for method in score.keys() - methods if ours else ():
            if score[method] > max(ours):
                lines.append(
                    f"{page}: {Query(study, data, method)}, {score[method]:.3f}, is better than "
                    f"ours, {max(ours):.3f}, and is not on the page"
                )
    return lines


def scored(said: PageClaims) -> dict[tuple[str, str], set[str]]:
    """The methods whose scores a page prints, by study and data."""
    shown: dict[tuple[str, str], set[str]] = {}
    for term in (term for claim in said.claims for terms in claim.terms for term in terms):
        study, data, method = term.query
        if data and method and term.statistic in SCORES:
            shown.setdefault((study, data), set()).add(method)
    return shown


def _methods(kept: Records, study: str, data: str) -> list[str]:
    return list(dict.fromkeys(r.method for r in kept.get(study, ()) if r.data == data))


def _score(kept: Records, query: Query) -> float:
    """The mean MCC, or where no sources are known the nats."""
    rows = records.matching(kept, query)
    values = records.scores(rows) or records.nats(rows)
    return mean(values) if values else float("-inf")


def is_ours(study: str, method: str) -> bool:
    """Whether it is an estimator of this library, given u as it is."""
    ours = study in WITHOUT_SOURCES or method.startswith(("IFlow", "IVAE"))
    return ours and "shuffled" not in method and "unconditional" not in method
