"""Rows of x and u go together by their position, and an index that says otherwise is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given

from identiflow.shared.auxiliary import (
    Continuous,
    Fourier,
    History,
    Labels,
    Mixed,
    TimeSegments,
)
from identiflow.shared.inputs.pairing import check_paired
from identiflow.shared.inputs.remarks import InputWarning

N = 12
NAMES = [f"cell {i}" for i in range(N)]
X = pd.DataFrame(np.arange(2.0 * N).reshape(N, 2), columns=["a", "b"], index=NAMES)
U = pd.Series(np.arange(N) % 3, index=NAMES, name="u")
BACK = U[::-1]

# Objects in the place of u that hold a value for each row.
HOLDERS: dict[str, Callable[[Any], Any]] = {
    "u": lambda u: u,
    "a frame": lambda u: u.to_frame(),
    "Labels": Labels,
    "Continuous": Continuous,
    "Mixed, labels": lambda u: Mixed(u, np.zeros(N)),
    "Mixed, values": lambda u: Mixed(np.zeros(N), u),
    "Fourier": lambda u: Fourier(u, 3.0),
    "History": lambda u: History(1, u),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_labels_in_another_order_are_refused_with_both_ways(holder: str) -> None:
    hold = HOLDERS[holder]
    check_paired(X, hold(U))
    check_paired(X.to_numpy(), hold(BACK))
    check_paired(X, hold(BACK.loc[X.index]))
    message = (
        r"with the index of x, in the same order; got 'cell 11' in row 0, where 'cell 0' is. "
        r"Pass (u|u\.\w+)\.loc\[x.index\] to pair rows by their label; \1.to_numpy\(\) pairs"
    )
    with pytest.raises(ValueError, match=message):
        check_paired(X, hold(BACK))


def test_parts_of_u_are_compared_without_an_index_of_x() -> None:
    with pytest.raises(ValueError, match="Expected u.continuous with the index of u.labels"):
        check_paired(X.to_numpy(), Mixed(U, BACK))


def test_the_new_u_of_transport_is_compared_too() -> None:
    with pytest.raises(ValueError, match="Expected u_new with the index of x"):
        check_paired(X, U, BACK)


MORE: dict[str, tuple[Any, Any, str]] = {
    "duplicates": (
        X.set_axis([0, 0, *range(10)]),
        U.set_axis([*range(10), 0, 0]),
        "more than once",
    ),
    "rows left out of x": (X[::2], U[:6], r"Pass u.to_numpy|same observations"),
    "rows left out of one": (X[::2], U, r"12 rows for 6. Pass u.loc\[x.index\]"),
    "other rows": (X.set_axis(range(N)), U.set_axis(range(N, 2 * N)), "Pass rows of the same"),
    "a default index beside rows left out": (
        X.set_axis(range(0, 2 * N, 2)),
        U.set_axis(range(N)),
        "got 1 in row 1, where 2 is",
    ),
    "a default index beside a shuffled one": (
        X.reset_index(drop=True)[::-1],
        U.reset_index(drop=True),
        r"got 0 in row 0, where 11 is. Pass u.loc\[x.index\]",
    ),
    "several levels": (
        X.set_axis(pd.MultiIndex.from_product([["a", "b"], range(6)])),
        U.set_axis(pd.MultiIndex.from_product([["b", "a"], range(6)])),
        r"got \('b', .*0.*\) in row 0, where \('a', .*Pass u.loc\[x.index\]",
    ),
}


@pytest.mark.parametrize("case", MORE)
def test_other_indexes_are_refused(case: str) -> None:
    x, u, message = MORE[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        check_paired(x, u)


FINE: dict[str, tuple[Any, Any]] = {
    "a default index beside names": (X, U.reset_index(drop=True)),
    "names beside a default index": (X.reset_index(drop=True), U),
    "the same duplicates": (X.set_axis([0] * N), U.set_axis([0] * N)),
    "numbers of another type": (X.set_axis(np.arange(N, dtype="i4")), U.reset_index(drop=True)),
    "days of another unit": (
        X.set_axis(pd.date_range("2020-01-01", periods=N).as_unit("ns")),
        U.set_axis(pd.date_range("2020-01-01", periods=N).as_unit("s")),
    ),
    "lists": (X, U.tolist()),
    "an index itself": (X, pd.Index(np.arange(N)[::-1])),
    "no u": (X, None),
}


@pytest.mark.parametrize("case", FINE)
def test_these_are_paired_by_position(case: str) -> None:
    check_paired(*FINE[case])


LABELS = st.one_of(st.integers(0, 9), st.text("ab", max_size=2), st.floats(0, 1))


@given(st.lists(LABELS, min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_no_generated_index_is_taken_in_another_order(labels: list[Any], random: Any) -> None:
    shuffled = random.sample(labels, len(labels))
    x = pd.DataFrame({"a": np.zeros(len(labels))}, index=pd.Index(labels, dtype=object))
    u = pd.Series(0, index=pd.Index(shuffled, dtype=object))
    if shuffled == labels:
        check_paired(x, u)
        return
    with pytest.raises(ValueError, match="Expected u with the index of x, in the same order; got"):
        check_paired(x, u)
    if len(set(labels)) == len(labels):
        check_paired(x, u.loc[x.index])


def test_coordinates_of_xarray_are_an_index() -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is an extra")
    x = xarray.DataArray(X.to_numpy(), coords={"cell": NAMES}, dims=["cell", "column"])
    check_paired(x, U)
    check_paired(x.drop_vars("cell"), BACK)
    with pytest.raises(ValueError, match="Expected u with the index of x"):
        check_paired(x, BACK)


# Several series in one index, and gaps ----------------------------------------------------------

HOURS = pd.date_range("2020", periods=N, freq="h")
SUBJECTS = pd.MultiIndex.from_product([["ada", "ben"], range(N // 2)], names=["subject", "hour"])


@pytest.mark.parametrize("u", [History(1), TimeSegments(3), Mixed(TimeSegments(3), np.zeros(N))])
def test_an_index_of_several_series_is_remarked_on(u: Any) -> None:
    with pytest.warns(
        InputWarning, match=r"several 'subject'\. .* x\.index\.get_level_values\(0\)"
    ):
        check_paired(X.set_axis(SUBJECTS), u)
    check_paired(X.set_axis(SUBJECTS), History(1, SUBJECTS.get_level_values(0)))
    check_paired(
        X.set_axis(SUBJECTS.set_levels(["ada", "ada "], level=0)[:6].repeat(2)), U.to_numpy()
    )


PLACES = np.r_[0:7, 700 : 700 + N - 7]
GAPS: dict[str, tuple[Any, str]] = {
    "dates": (HOURS[0] + pd.to_timedelta(PLACES, "h"), "28 days 22:00:00"),
    "durations": (pd.to_timedelta(PLACES, "s"), "0 days 00:11:34"),
    "periods": (pd.period_range("2020", periods=2000, freq="D")[PLACES], "<694 . Days>"),
    "row numbers": (pd.Index(PLACES), "694"),
    "seconds": (pd.Index(PLACES * 0.25), "173.5"),
    "days of one person": (pd.MultiIndex.from_product([["ada"], PLACES]), "694"),
}


@pytest.mark.parametrize("case", GAPS)
def test_a_gap_in_time_is_remarked_on_where_pasts_reach_across(case: str) -> None:
    index, width = GAPS[case]
    series = [None, np.zeros(N, int), ["ada"] * N]
    for u in (History(1, of) for of in series):
        with pytest.warns(InputWarning, match=f"between rows 6 and 7 lie {width}. If that is"):
            check_paired(X.set_axis(index), u)
    check_paired(X.set_axis(index), TimeSegments(3))
    check_paired(X.set_axis(index), History(1, np.arange(N) >= 7))
    check_paired(X.set_axis(HOURS), History(1))


DAYS_BACK = pd.date_range("2020-01-01", periods=N)[::-1]
WHO = np.repeat(["ada", "ben"], [N // 2, N - N // 2])
GOING_BACK: dict[str, Any] = {
    "dates": DAYS_BACK,
    "periods": DAYS_BACK.to_period("D"),
    "words": DAYS_BACK.strftime("%Y-%m-%d"),
    "days of Python": pd.Index([day.date() for day in DAYS_BACK], dtype=object),
    "people and days": pd.MultiIndex.from_arrays([WHO, DAYS_BACK]),
}


@pytest.mark.parametrize("case", GOING_BACK)
def test_each_series_is_in_the_order_of_its_time(case: str) -> None:
    x = X.set_axis(GOING_BACK[case])
    for series in (WHO, pd.Series(WHO, x.index), WHO.tolist()):
        with pytest.raises(ValueError, match="index goes back, first in row 1. .* series and time"):
            check_paired(x, History(1, series))
    check_paired(X.set_axis(np.r_[0 : N // 2, 0 : N - N // 2]), History(1, WHO))


@pytest.mark.parametrize(
    "index", [range(5, 5 + N), list(map(str, range(N))), [(0, 0, i) for i in range(N)]]
)
def test_indexes_of_other_levels_are_refused_in_our_words(index: Any) -> None:
    x = X.set_axis(pd.MultiIndex.from_arrays([WHO, np.arange(N)]))
    for first, second in ((x, U.set_axis(pd.Index(index))), (U.set_axis(pd.Index(index)), x)):
        with pytest.raises(ValueError, match="Pass rows of the same observations in one order; u"):
            check_paired(first, second)


def test_moments_name_no_series() -> None:
    days = pd.date_range("2020-01-01", periods=N // 3)
    by_day = X.set_axis(pd.MultiIndex.from_product([days, list("abc")], names=["day", "who"]))
    way = r"several 'who'.* x\.index\.get_level_values\(1\) once the rows are sorted by it: x.sort"
    with pytest.warns(InputWarning, match=way):
        check_paired(by_day, History(1))
    with pytest.warns(InputWarning, match="series for names of recordings; got moments"):
        check_paired(by_day, History(1, by_day.index.get_level_values(0)))
    sorted_by_who = by_day.sort_index(level=1)
    check_paired(sorted_by_who, History(1, sorted_by_who.index.get_level_values(1)))


def test_xarray_is_told_its_own_way() -> None:
    x = xr.DataArray(X.to_numpy(), dims=["t", "c"], coords={"t": np.arange(N)})
    u = xr.DataArray(U.to_numpy(), dims=["t"], coords={"t": np.arange(N)})
    with pytest.raises(ValueError, match=r"Pass u\.reindex_like\(x\) to pair"):
        check_paired(x, u[::-1])
    check_paired(x, u[::-1].reindex_like(x))
    for other in (u[::-1].rename(t="s"), pd.Series(U.to_numpy(), np.arange(N))[::-1]):
        with pytest.raises(ValueError, match="Pass rows of the same observations in one order; u"):
            check_paired(x, other)


def test_an_xarray_dataset_has_no_index_of_rows() -> None:
    check_paired(xr.Dataset({"a": ("t", X.to_numpy()[:, 0])}), U)
