"""Parts of a stream whose u are dates, durations, numbers or waves of another kind are not one."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from identiflow.shared.auxiliary import Columns, Continuous, Fourier, Labels, Mixed
from identiflow.shared.auxiliary.continuous import as_continuous
from identiflow.shared.training.streams import on_disk

N = 12
X = np.random.default_rng(0).standard_normal((N, 2))
HOURS = np.random.default_rng(1).integers(0, 1000, N)
NAIVE = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(HOURS, "h"))

# One and the same u of each kind, and the period of a day in it.
OF_KIND: dict[str, tuple[Any, Any]] = {
    "numbers": (pd.Series(HOURS / 2), 12.0),
    "durations": (pd.Series(pd.to_timedelta(HOURS, "h")), pd.Timedelta("24h")),
    "dates or times without a zone": (NAIVE, pd.Timedelta("24h")),
    "dates or times in a zone": (NAIVE.dt.tz_localize("Europe/Berlin"), pd.Timedelta("24h")),
}
MADE: dict[str, Callable[[Any, Any], Any]] = {
    "Continuous": lambda values, _: Continuous(values),
    "a list": lambda values, _: Continuous(list(values)),
    "objects": lambda values, _: Continuous(values.to_numpy(dtype=object)),
    "a frame": lambda values, _: Continuous(values.to_frame("when")),
    "beside numbers": lambda values, _: Continuous(pd.DataFrame({"a": 0.5, "when": values})),
    "Mixed": lambda values, _: Mixed(["a"] * len(values), values),
    "Fourier": Fourier,
    "Mixed waves": lambda values, period: Mixed(["a"] * len(values), Fourier(values, period, 2)),
}


def joined(*parts: Any) -> Columns:
    """The u of parts that each go with all rows of X."""
    with on_disk(((X[: len(u)], u) for u in parts), None) as (rows, u):
        return u.columns(np.array(rows))


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("pair", list(permutations(OF_KIND, 2)), ids=" then ".join)
def test_parts_of_two_kinds_are_refused_by_number(pair: tuple[str, str], made: str) -> None:
    first, other = (MADE[made](*OF_KIND[kind]) for kind in pair)
    with pytest.raises(ValueError, match="u of one kind in all parts; got .* in part 0 and ") as it:
        joined(first, first, other)
    assert str(it.value).endswith(" in part 2. Make them alike.")
    if "Fourier" not in made and "waves" not in made:
        assert all(kind in str(it.value) for kind in pair)


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("kind", OF_KIND)
def test_parts_of_one_kind_are_the_whole(kind: str, made: str) -> None:
    values, period = OF_KIND[kind]
    whole = MADE[made](values, period).columns(X)
    got = joined(MADE[made](values[:5], period), MADE[made](values[5:], period))
    np.testing.assert_array_equal(got.continuous, whole.continuous)
    assert got.kinds == whole.kinds and got.moments == (kind != "numbers")


SAME: dict[str, tuple[Any, Any]] = {
    "days and nanoseconds": (np.array(["2020-01-01"] * 2, "M8[D]"), NAIVE[:2]),
    "two zones": (NAIVE.dt.tz_localize("UTC"), NAIVE.dt.tz_localize("Asia/Tokyo")),
    "times of a day and durations": ([t.time() for t in NAIVE], OF_KIND["durations"][0]),
    "whole numbers and others": (HOURS, HOURS / 7),
}


@pytest.mark.parametrize("case", SAME)
def test_what_holds_a_kind_makes_no_other(case: str) -> None:
    first, other = SAME[case]
    assert len(joined(Continuous(first), Continuous(other)).kinds) == 1


WAVES: dict[str, tuple[Any, Any]] = {
    "another period": (Fourier(HOURS, 24), Fourier(HOURS, 12)),
    "another number": (Fourier(HOURS, 24, 3), Fourier(HOURS, 24, 4)),
    "another duration": (
        Fourier(NAIVE, pd.Timedelta("24h")),
        Fourier(NAIVE, pd.Timedelta("7D")),
    ),
    "another period beside labels": (
        Mixed(HOURS, Fourier(HOURS, 24)),
        Mixed(HOURS, Fourier(HOURS, 23)),
    ),
    "no waves": (Fourier(HOURS, 24, 1), Continuous(np.c_[HOURS, HOURS])),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", WAVES)
def test_waves_of_two_parts_are_of_one_period_and_number(case: str, turned: bool) -> None:
    parts = WAVES[case][::-1] if turned else WAVES[case]
    with pytest.raises(ValueError, match=r"in all parts; got .* in part 0 and .* in part 1\."):
        joined(*parts)


@given(st.lists(st.sampled_from([12, 24, 24.0, 24.5]), min_size=2, max_size=5))
def test_no_generated_period_is_joined_to_another(periods: list[float]) -> None:
    parts = [Fourier(HOURS, period, 2) for period in periods]
    if len(set(periods)) == 1:
        assert joined(*parts).made_by == ["Fourier", float(periods[0]), 2]
        return
    number = next(i for i, period in enumerate(periods) if period != periods[0])
    with pytest.raises(ValueError, match=rf"Fourier\(…, {periods[0]:.1f}, 2\) .* in part {number}"):
        joined(*parts)


# Labels -----------------------------------------------------------------------------------------

AS_LABELS: dict[str, Callable[[pd.Series], Any]] = {
    "series": lambda when: when,
    "Labels": Labels,
    "list": lambda when: when.tolist(),
    "words": lambda when: when.map(str),
    "joint": lambda when: pd.DataFrame({"who": "ada", "when": when}),
    "Mixed": lambda when: Mixed(when, np.arange(len(when)) / 7),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("case", AS_LABELS)
def test_labels_of_times_are_all_in_a_zone_or_none(case: str, turned: bool) -> None:
    made = AS_LABELS[case]
    parts = [made(NAIVE), made(NAIVE.dt.tz_localize("UTC"))][:: -1 if turned else 1]
    for part in parts:
        assert len(joined(part, part).labels) == 2 * N
    with pytest.raises(ValueError, match="got labels of times .* zone in part 0 and labels of ti"):
        joined(*parts)


def test_moments_and_their_words_are_the_same_labels_of_two_parts() -> None:
    days = NAIVE.dt.normalize()
    expected = joined(days, days).labels
    np.testing.assert_array_equal(joined(days, days.dt.strftime("%Y-%m-%d")).labels, expected)


# In memory, too ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", list(permutations(OF_KIND, 2)), ids=" then ".join)
@pytest.mark.parametrize("wide", [False, True])
def test_two_kinds_in_one_column_are_refused(pair: tuple[str, str], wide: bool) -> None:
    both = [value for kind in pair for value in OF_KIND[kind][0].iloc[:3]]
    cells = np.array([both, [0.5] * len(both)][: 1 + wide], dtype=object).T
    with pytest.raises(ValueError, match="Expected continuous u (of|to be numeric)"):
        as_continuous(cells if wide else cells[:, 0])


def test_months_beside_days_have_no_length() -> None:
    cells = np.array([np.timedelta64(3, "M"), np.timedelta64(3, "D")], dtype=object)
    with pytest.raises(ValueError, match="durations of one unit; got months or years"):
        as_continuous(cells)


DURATIONS: dict[str, Callable[[np.ndarray], Any]] = {
    "array": np.asarray,
    "column": lambda months: months[:, None],
    "list": list,
    "objects": lambda months: np.array([*months, None], dtype=object)[:-1],
}


@pytest.mark.parametrize("unit", ["Y", "M"])
@pytest.mark.parametrize("form", DURATIONS)
def test_months_and_years_are_no_labels(form: str, unit: str) -> None:
    months = DURATIONS[form](np.arange(1, 4).astype(f"m8[{unit}]"))
    with pytest.raises(ValueError, match="a fixed length as labels of u; got (months|years)"):
        Labels(months).columns(X)


@pytest.mark.parametrize("unit", ["D", "h", "s", "ns"])
@pytest.mark.parametrize("form", DURATIONS)
def test_durations_of_numpy_are_the_same_labels_in_objects(form: str, unit: str) -> None:
    durations = np.arange(1, 4).astype(f"m8[{unit}]")
    expected = Labels(durations).columns(X).labels
    for u in (DURATIONS[form](durations), Labels(DURATIONS[form](durations))):
        assert joined(u).labels.tolist() == expected.tolist()
