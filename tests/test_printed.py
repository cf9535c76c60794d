"""The pages print what the records hold; a digit, a row or a table that strays is noticed."""

from __future__ import annotations

import pytest

from experiments.checks import claims, pages, printed, records
from experiments.checks.records import Query
from experiments.protocol.sources import FIRST_SEED
from experiments.protocol.table import Row

KEPT = {
    "study": [
        Row("data", "IFlow", mcc=0.9961, nats=1.25, oracle=1.31, seconds=20.0, seed=101),
        Row("data", "IFlow", mcc=0.9939, nats=1.15, oracle=1.31, seconds=30.0, seed=102),
        Row("data", "VAE", mcc=0.5, nats=-2.0, seed=101, details={"transport": 0.1}),
        Row("data", "supervised, a network", mcc=0.999, seed=101),
    ]
}
CLAIMS = """\
page README.md
rows study | data | IFlow
| `IFlow` | {mean} ({min}–{max}) | {n} | {gap max} |
{n} data seeds, an unconditional one {nats less nats @ VAE} nats behind
| a network | {mean @ supervised, a network} |
except published 0.75: published
section Speed: machine-dependent
"""
PAGE = """\
# Results

| method | score | seeds | short |
|---|---|---|---|
| `IFlow` | 0.995 (0.994–0.996) | 2 | 0.16 |
| a network | 0.999 |

They are of two data seeds, an unconditional one 3.20
nats behind, and published 0.75; `max_steps=0.1` is code.

## Speed

| what | 0.1 |
|---|---|
| a step | 3.0, 1 |

## After
"""


def check(page: str = PAGE, said: str = CLAIMS, kept=KEPT) -> printed.Found:
    return printed.check({"README.md": page}, claims.read(said), kept)


def test_the_pages_print_what_the_records_hold() -> None:
    said = claims.read(claims.FILE.read_text(encoding="utf-8"))
    texts = pages.read_pages()
    assert set(said) <= set(texts)
    found = printed.check(texts, said, records.read())
    assert found.wrong == []
    assert (found.not_covered, found.left_out, found.stale) == ([], [], [])
    assert len(found.printed) > 400


def test_a_page_that_is_right_passes() -> None:
    found = check()
    assert (found.wrong, found.not_covered, found.left_out, found.stale) == ([], [], [], [])
    assert [number.printed for number in found.printed] == [
        *("0.995", "0.994", "0.996", "2", "0.16"),
        *("two", "3.20", "0.999"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "record"),
    [
        ("0.995 (", "0.996 (", "0.995"),
        ("–0.996)", "–0.997)", "0.996"),
        ("| 2 | 0.16", "| 3 | 0.16", "2"),
        ("| 0.16 |", "| 0.2 |", None),  # right to the digits that it has
        ("| 0.16 |", "| 0.15 |", "0.16"),
        ("of two data", "of ten data", "2"),
        ("3.20", "−3.20", "3.20"),
    ],
)
def test_a_changed_digit_is_noticed(old, new, record) -> None:
    assert PAGE.count(old) == 1
    wrong = check(PAGE.replace(old, new)).wrong
    assert [number.record for number in wrong] == ([record] if record else [])


def test_a_row_that_is_gone_is_noticed() -> None:
    (number,) = check(PAGE.replace("| a network |", "| another |")).wrong
    assert number.printed == "not found" and "supervised, a network" in number.what


def test_rows_that_no_record_has_are_noticed() -> None:
    wrong = check(kept={"study": KEPT["study"][:3]}).wrong
    assert ["got none for study, data, supervised, a network" in n.record for n in wrong] == [True]


def test_a_better_row_that_is_left_out_is_noticed() -> None:
    page = PAGE.replace("| a network | 0.999 |\n", "")
    said = CLAIMS.replace("| a network | {mean @ supervised, a network} |\n", "")
    (line,) = check(page, said).left_out
    assert "supervised, a network, 0.999, is better than ours, 0.995" in line
    worse = [row for row in KEPT["study"] if row.method != "supervised, a network"]
    assert check(page, said, {"study": worse}).left_out == []


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("## After", "| more | n |\n|---|---|\n| 0.123 | 7 |\n\n## After", []),  # in the section
        ("## After", "## After\n\n| more | n |\n|---|---|\n| 0.123 (0.1) | 7 |", [21] * 3),
        ("## After", "## After\n\nIt takes 12 % of 3 hours.", [19]),
        ("published 0.75", "published 0.75, 0.76", [9]),
        ("is code", "is 0.1", [9]),
    ],
)
def test_a_number_that_nothing_covers_is_noticed(old, new, lines) -> None:
    found = check(PAGE.replace(old, new)).not_covered
    assert [int(line.split(":")[1]) for line in found] == lines


@pytest.mark.parametrize("words", ["published 0.75", "## Speed"])
def test_an_exception_of_nothing_is_noticed(words) -> None:
    assert len(check(PAGE.replace(words, "gone")).stale) == 1


def test_what_is_wrong_is_printed_and_ends_the_command(monkeypatch, capsys) -> None:
    texts = {"README.md": PAGE.replace("0.999", "0.998")}
    monkeypatch.setattr(pages, "read_pages", lambda: texts)
    monkeypatch.setattr(records, "read", lambda: KEPT)
    monkeypatch.setattr(claims, "read", lambda _, read=claims.read: read(CLAIMS))
    with pytest.raises(SystemExit, match="1"):
        printed.main()
    out = capsys.readouterr().out
    assert "| study, data, supervised, a network: mean | 0.998 | 0.999 | NO |" in out
    assert "8 numbers are compared: 1 differ, 0 are not covered, 0 better rows" in out


def test_a_statistic_that_is_not_there_is_named() -> None:
    rows = records.matching(KEPT, Query("study", "data", "VAE"))
    assert records.value(rows, "transport") == 0.1
    with pytest.raises(ValueError, match="Expected a statistic or a detail of data, VAE; got 'x'"):
        records.value(rows, "x")


# Seeds that are for choosing, and data that are not generated.
OTHERS = {"what_works", "causal_discovery", "gin_spectrum", "light_tunnel", "sachs"}


def test_reported_rows_are_of_seeds_that_nothing_was_chosen_on() -> None:
    kept = records.read()
    assert kept.keys() > OTHERS
    first = {study: min(records.seeds(rows)) for study, rows in kept.items() if study not in OTHERS}
    assert set(first.values()) == {FIRST_SEED}, first
