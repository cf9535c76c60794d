"""u of other rows than those of fit: values beyond its range, segments and pasts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from identiflow.shared.auxiliary import (
    AuxiliaryEncoder,
    Continuous,
    Fourier,
    History,
    Labels,
    Mixed,
    TimeSegments,
    read_auxiliary,
)
from identiflow.shared.inputs.remarks import InputWarning

FittedOn = Callable[..., AuxiliaryEncoder]
CodesOf = Callable[..., list[Any]]
N = 12
X = np.random.default_rng(0).standard_normal((N, 2))


# Beyond the range of fit ------------------------------------------------------------------------

SEEN = np.linspace(0, 10, N)


def test_values_beyond_the_range_of_fit_are_held_at_its_edge(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    encoder = fitted_on(pd.DataFrame({"day": SEEN, "dose": SEEN**2}))
    low, high = codes_of(pd.DataFrame({"day": SEEN, "dose": SEEN**2}), encoder)[:: N - 1]
    beyond = pd.DataFrame({"day": [-5.0, *SEEN[1:-1], 1e6], "dose": [-1e9, *SEEN[1:-1] ** 2, 200]})
    message = (
        "u goes beyond what fit saw in 2 of 12 rows: in column 'day' that was 0 to 10, here it is "
        r"-5 to 1e\+06"
    )
    with pytest.warns(InputWarning, match=message):
        codes = codes_of(beyond, encoder)
    assert codes[0] == low and codes[-1] == high


@given(st.lists(st.floats(-1e6, 1e6), min_size=N, max_size=N), st.floats(-1e9, 1e9))
def test_inside_the_range_nothing_changes(
    fitted_on: FittedOn, codes_of: CodesOf, values: list[float], beyond: float
) -> None:
    u = np.array(values)
    if not 1e-6 + 1e-5 * np.abs(u).max() < np.ptp(u):  # else rounding may be all there is
        return
    encoder = fitted_on(u)
    expected = (u - np.asarray(encoder.mean)) / np.asarray(encoder.scale)
    np.testing.assert_array_equal(np.ravel(codes_of(u, encoder)), expected)
    clipped = np.full(N, np.clip(beyond, u.min(), u.max()))
    columns = read_auxiliary(np.full(N, beyond), X)
    np.testing.assert_array_equal(encoder.encode(columns).tolist(), codes_of(clipped, encoder))


def test_a_hundredth_of_the_range_is_not_remarked_on(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    encoder = fitted_on(SEEN)
    assert codes_of(SEEN + 0.09, encoder)[-1] == codes_of(SEEN, encoder)[-1]


def test_encoders_of_files_from_before_have_no_range(codes_of: CodesOf) -> None:
    old = AuxiliaryEncoder(None, [0.0], [1.0])
    assert codes_of(np.full(N, 1e6), old) == [[1e6]] * N


# Segments and pasts -----------------------------------------------------------------------------

LONG = np.random.default_rng(1).standard_normal((60, 2))
OTHER_ROWS: dict[str, tuple[Any, Any]] = {
    "a part": (LONG[:30], 10),
    "the other half": (LONG[30:], 10),
    "as many others": (LONG[::-1], 10),
    "other segments": (LONG, 5),
    "one column": (LONG[:, :1], 10),
}


@pytest.mark.parametrize("case", OTHER_ROWS)
@pytest.mark.parametrize("first", [TimeSegments(10), np.arange(60) * 10 // 60])
def test_segments_are_those_of_the_recording_of_fit(
    fitted_on: FittedOn, codes_of: CodesOf, case: str, first: Any
) -> None:
    x, n = OTHER_ROWS[case]
    with pytest.raises(ValueError, match=r"the very rows of fit.* pass \(np.arange\(N\) \* n // N"):
        codes_of(TimeSegments(n), fitted_on(first, LONG), x)


def test_segments_of_the_same_rows_are_the_same(fitted_on: FittedOn, codes_of: CodesOf) -> None:
    encoder = fitted_on(TimeSegments(10), LONG)
    expected = (np.arange(60) * 10 // 60).tolist()
    assert codes_of(TimeSegments(10), encoder, LONG) == expected
    assert codes_of(TimeSegments(10), encoder, LONG.astype("f4")) == expected
    assert codes_of(expected[20:30], encoder, LONG[20:30]) == expected[20:30]


INTERLEAVED = {
    "turns": [0, 1] * 6,
    "resumed": [0] * 4 + [1] * 4 + [0] * 4,
    "words": list("aba") * 4,
}


@pytest.mark.parametrize("case", INTERLEAVED)
def test_interleaved_series_are_refused_by_row(case: str) -> None:
    message = "rows of each series together; got series .* in row [28] again.* Sort the rows by"
    with pytest.raises(ValueError, match=message):
        read_auxiliary(History(1, series=INTERLEAVED[case]), X)


def test_the_first_rows_of_a_series_have_an_average_past_and_a_warning_says_so(
    codes_of: CodesOf,
) -> None:
    series = np.arange(N) // 4
    columns = read_auxiliary(History(2, series), X)
    assert np.flatnonzero(columns.incomplete).tolist() == [0, 1, 4, 5, 8, 9]
    encoder = AuxiliaryEncoder.fit(columns)
    with pytest.warns(InputWarning, match="no whole past in x for 6 of 12 rows, .* row 0:"):
        codes = np.array(codes_of(History(2, series), encoder))
    assert (codes[columns.incomplete] == 0).all() and (codes[~columns.incomplete] != 0).all()


def test_waves_of_a_time_of_day_do_not_go_beyond(fitted_on: FittedOn, codes_of: CodesOf) -> None:
    encoder = fitted_on(Fourier(np.arange(N), period=N), X)
    shifted = read_auxiliary(Fourier(np.arange(N) + 0.5, period=N), X).continuous
    expected = (shifted - np.asarray(encoder.mean)) / np.asarray(encoder.scale)
    got = codes_of(Fourier(np.arange(N) + 0.5, period=N), encoder)
    np.testing.assert_array_equal(got, expected)


HOURS = np.random.default_rng(2).integers(0, 24, N)


@pytest.mark.parametrize("other", [Fourier(HOURS, 12), Fourier(HOURS, 24.5), Fourier(HOURS, 24, 3)])
def test_waves_of_another_period_or_number_are_refused(
    fitted_on: FittedOn, codes_of: CodesOf, other: Fourier
) -> None:
    encoder = fitted_on(Fourier(HOURS, 24))
    assert codes_of(Fourier(HOURS + 24, 24.0), encoder) == codes_of(Fourier(HOURS, 24), encoder)
    with pytest.raises(ValueError, match=r"Fourier\(…, 24\.0, 4\), as in fit|with 8 continuous"):
        codes_of(other, encoder)


def test_waves_of_dates_have_a_duration_as_period() -> None:
    when = np.datetime64("2020-01-01", "h") + HOURS
    expected = read_auxiliary(Fourier(HOURS, 24), X).continuous
    for period in (timedelta(days=1), np.timedelta64(24, "h"), pd.Timedelta("24h")):
        for values in (
            when,
            pd.Series(when),
            pd.Series(when).astype(object),
            HOURS * np.timedelta64(1, "h"),
        ):
            got = read_auxiliary(Fourier(values, period), X).continuous
            np.testing.assert_allclose(got, expected, atol=1e-6)


LENGTHS = np.random.default_rng(3).integers(0, 3600, N) * np.timedelta64(1, "s")
MOMENTS: dict[str, Any] = {
    "durations": LENGTHS,
    "dates": np.datetime64("1970-01-01", "s") + LENGTHS,
    "times of day": [(np.datetime64(0, "s") + length).item().time() for length in LENGTHS],
    "beside numbers": pd.DataFrame({"age": LENGTHS, "dose": np.arange(N) / 7}),
}


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("case", MOMENTS)
def test_plain_numbers_where_fit_saw_moments_are_remarked_on(
    fitted_on: FittedOn, codes_of: CodesOf, case: str, labels: bool
) -> None:
    seconds = LENGTHS.astype("m8[s]").astype(float)
    later = np.c_[seconds, np.arange(N) / 7] if case == "beside numbers" else seconds
    made = (lambda v: Mixed(np.arange(N) % 3, v)) if labels else Continuous
    encoder = fitted_on(made(MOMENTS[case]))
    assert encoder.moments and codes_of(made(MOMENTS[case]), encoder)
    names = ["age", "dose"][: np.c_[later].shape[1]]
    for u in (made(later), made(pd.DataFrame(later, columns=names))) + (() if labels else (later,)):
        with pytest.warns(InputWarning) as said:
            codes_of(u, encoder)
        assert "plain numbers here, which are taken for nanoseconds" in str(said[0].message)
    assert not fitted_on(made(later)).moments


def test_series_that_were_told_apart_in_fit_alone_are_remarked_on(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    series = np.arange(N) // 4
    encoder = fitted_on(History(1, series))
    with pytest.warns(InputWarning) as said:
        codes_of(History(1), encoder)
    assert any("had series= in fit and has none here" in str(one.message) for one in said)


# Combinations -----------------------------------------------------------------------------------

PARTS = pd.DataFrame(
    {"batch": np.arange(N) % 2, "cell": np.array(["x", "y, z"])[np.arange(N) // 6]}
)
AGAIN: dict[str, Callable[[pd.DataFrame], Any]] = {
    "floats": lambda parts: parts.astype({"batch": float}),
    "nullable floats": lambda parts: parts.astype({"batch": "Float64"}),
    "flags": lambda parts: parts.astype({"batch": bool}),
    "words": lambda parts: parts.astype({"batch": str}),
    "categories": lambda parts: parts.astype("category"),
    "objects": lambda parts: parts.astype({"batch": float}).to_numpy(dtype=object),
}


@pytest.mark.parametrize("case", AGAIN)
def test_combinations_are_the_same_whatever_holds_their_numbers(
    fitted_on: FittedOn, codes_of: CodesOf, case: str
) -> None:
    encoder = fitted_on(PARTS)
    assert codes_of(Labels(AGAIN[case](PARTS)), encoder) == codes_of(PARTS, encoder)


def test_an_array_of_combinations_may_be_of_floats_afterwards(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    u = np.c_[np.arange(N) % 2, np.arange(N) // 6]
    encoder = fitted_on(u)
    assert codes_of(u * 1.0, encoder) == codes_of(u, encoder)
    with pytest.raises(ValueError, match="got '0.0, 7.0', first in row 0"):
        codes_of(np.full((N, 2), [0.0, 7.0]), encoder)


def test_numbers_and_words_that_are_two_labels_stay_two(
    fitted_on: FittedOn, codes_of: CodesOf
) -> None:
    parts = pd.DataFrame({"a": np.array(["1", "1.0"])[np.arange(N) % 2], "b": ["x"] * N})
    encoder = fitted_on(parts)
    assert len(set(codes_of(parts, encoder))) == 2
