"""What is wrong with columns of x: functions of others, values that many rows share, codes.

Where columns are linear functions of others x lies in a plane, and where one value has a
probability of its own it has a point: it has no density there. Codes for what was not measured
are no measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from identiflow.shared.inputs.arrays import Array

# What is left of a column, in units of its spread, that single precision cannot tell from nothing.
SINGLE = 1e-6
# Rounding of what was given leaves about this many times its own size, and no more.
TIMES_ROUNDING = 4.0
# So many of them, of the last digit, are between the values of a constant that was added up.
UNITS_OF_A_CONSTANT, IN_SINGLE = 64.0, 16.0  # of which single precision, as measured, has more
# Above this share of its spread what is left of a column is more than the rounding of its digits.
LARGEST_REST = 0.1
LARGEST_STEP = 0.25  # in units of its spread, of a column that rounding leaves so little of
# A column of which less is left may be what others are judged by no more.
NEARLY_NOTHING = 1e-5
MOST_SUSPECTS = 10
# So few digits, in decimals or in bits (bfloat16, half precision), say that numbers were rounded.
MOST_DIGITS, BITS_OF_HALF = 6, (7, 10)
# What is written where nothing was measured: -9, 999, -99.99, ends of types, 1e20 and more, and 0.
_WORDS = [digit * n for digit in "789" for n in range(1, 7)]
_WORDS += [f"{d * n}.{d * m}" for d in "789" for n in range(2, 6) for m in (1, 2, 3)]
_WORDS += [f"{word}.25" for word in ("999", "9999")] + "6999 7999 9.9e37 9.91e37 0".split()
_WORDS += [f"1e{n}" for n in range(20, 39)] + "9.96921e36 9.969209968386869e36 3.40282e38".split()
_ENDS = [2**n - k for n in (7, 8, 15, 16, 31, 32, 63) for k in (0, 1)] + [np.finfo("f4").max]
CODES = np.array([sign * float(code) for code in (*_WORDS, *_ENDS) for sign in (1, -1)], dtype="f4")
REPEATED_FAR, ALONE_FAR = 5, 1000  # times the range of all others, of several rows, of one
# Of values that are no larger than this a few others do not tell whether they are a code.
SMALL, ENOUGH_OTHERS = 255, 10
LARGEST_GAP = 5  # from a scale of answers to the next one below 0 that is one

Numbers: TypeAlias = Sequence[int] | NDArray[np.int64]


@dataclass(frozen=True)
class Dependence:
    """A column that is a linear function of others, or of none of them if it is constant.

    Attributes:
        column: its number.
        others: theirs, in their order.
        exact: False if what is left is as much as the rounding of decimals leaves.
    """

    column: int
    others: tuple[int, ...]
    exact: bool = True


class Plane:
    """Rows of x, made alike in size, to be searched for columns that depend on others.

    A linear relation holds for each row by itself. So each is divided by its distance from the
    median, lest a few outliers outweigh all others: what counts is what is left in most rows.

    Args:
        x: rows (N, d), as they were given.
        center, scale: of its columns, (d,).
    """

    def __init__(self, x: Array, center: Array, scale: Array) -> None:
        self.x, self.scale = x, scale
        z = (x - center) / scale
        weights = 1 / np.sqrt(1 + np.square(z).mean(1))
        self.weights = weights[:, None]
        rows = np.concatenate([self.weights, self.weights * z], axis=1)
        # Of as many rows and more this keeps all inner products of columns, to full precision.
        self.triangle = np.linalg.qr(rows, mode="r") / np.sqrt(len(x))

    def dependences(self, *, to_rounding: bool = True) -> list[Dependence]:
        """The first columns that depend on those before them."""
        rest = np.abs(np.diagonal(self.triangle))[1:]
        suspects = np.flatnonzero(rest <= (LARGEST_REST if to_rounding else NEARLY_NOTHING))
        likeliest = suspects[np.argsort(rest[suspects], kind="stable")][:MOST_SUSPECTS]
        clear = np.flatnonzero(rest > NEARLY_NOTHING)
        found = (self._of(int(i), clear[clear < i], to_rounding) for i in np.sort(likeliest))
        return [dependence for dependence in found if dependence is not None]

    def _of(self, column: int, before: Numbers, to_rounding: bool) -> Dependence | None:
        """How a column depends on those before it, if it does."""
        slopes, rest = self._regress(column, before)
        tolerance, exact = self._precision([column, *before], [1.0, *slopes]), True
        if rest > tolerance:
            enough_rows = len(self.x) >= 2 * len(self.scale)
            if not to_rounding or not enough_rows:
                return None
            tolerance, exact = self._rounding([column, *before], [1.0, *slopes]), False
        if rest > tolerance:
            return None
        return Dependence(column, self._fewest(column, before, slopes, tolerance), exact)

    def _regress(self, column: int, on: Numbers) -> tuple[Array, float]:
        """The slopes of the regression of a column on others, and what it leaves of it."""
        q, r = np.linalg.qr(self._columns(on))
        y = self.triangle[:, column + 1]
        along = q.T @ y
        slopes = np.linalg.solve(r, along)[1:]
        return slopes, float(np.linalg.norm(y - q @ along))

    def _fewest(
        self, column: int, before: Numbers, slopes: Array, tolerance: float
    ) -> tuple[int, ...]:
        """The fewest columns, those with the largest slopes, of which it is a function."""
        if self._spread(column) <= tolerance:
            return ()
        alone = self._best_alone(column)
        if alone is not None and self._regress(column, [alone])[1] <= tolerance:
            return (alone,)
        order = [int(i) for i in np.asarray(before)[np.argsort(-np.abs(slopes), kind="stable")]]
        r: Any = np.linalg.qr(self._columns([*order, column]), mode="r")
        left = np.sqrt(np.cumsum(np.square(r[::-1, -1]))[::-1])  # beyond the intercept and so many
        enough = next((m for m in range(len(order)) if left[m + 1] <= tolerance), len(order))
        return tuple(sorted(order[:enough]))

    def _best_alone(self, column: int) -> int | None:
        """The column before it with which it is most correlated."""
        centred = self.triangle[1:, 1:]
        lengths = np.linalg.norm(centred[:, :column], axis=0)
        inner = np.abs(centred[:, :column].T @ centred[:, column])
        shares = np.divide(inner, lengths, out=np.zeros(column), where=lengths > 0)
        return int(np.argmax(shares)) if column else None

    def _columns(self, numbers: Numbers) -> Array:
        """These columns behind the intercept."""
        return self.triangle[:, np.concatenate([[0], np.asarray(numbers, int) + 1])]

    def _spread(self, column: int) -> float:
        return float(np.linalg.norm(self.triangle[1:, column + 1]))

    def _precision(self, columns: Sequence[int], slopes: Sequence[float]) -> float:
        """What is left where all is exact but for the floating-point numbers it is given in."""
        x = self.x[:, columns]
        size = np.sqrt(np.square(self.weights * x).mean(0)) / self.scale[columns]
        return SINGLE + TIMES_ROUNDING * _sum_of_errors(_epsilon(x) * size, slopes)

    def _rounding(self, columns: Sequence[int], slopes: Sequence[float]) -> float:
        """What is left where all is exact but for the digits that values were rounded to."""
        steps = self._steps[columns] / self.scale[columns]
        if steps[0] > LARGEST_STEP:
            return 0.0
        return min(LARGEST_REST, 1.5 * _sum_of_errors(steps / np.sqrt(12), slopes))

    @cached_property
    def _steps(self) -> Array:
        """How far apart the numbers of each column are that it was rounded to, (d,)."""
        of_digits = [np.square(self.weights[:, 0] * steps_of_digits(x)).mean() for x in self.x.T]
        return np.maximum([step_of(x) for x in self.x.T], np.sqrt(of_digits))


def step_of(values: Array) -> float:
    """The step of which all differences of values (N,) are multiples; 0 if there is none.

    It is 0.01 of numbers with two decimals, and 0 of those with as many as float64 holds.
    """
    gaps = np.diff(np.unique(values[:1000]))
    if not len(gaps):
        return 0.0
    steps = gaps / gaps.min()
    return float(gaps.min()) if np.abs(steps - np.round(steps)).max() < 0.01 else 0.0


def steps_of_digits(values: Array) -> Array:
    """How far apart numbers are beside each value (N,) that has few digits; 0 if they have many.

    0.01 beside 1.23 and 1 beside 123, if all have three; likewise for those of half precision.
    """
    sizes = np.abs(np.where(values == 0, 1.0, values))
    decades = 10.0 ** np.floor(np.log10(sizes))
    for digits in range(1, MOST_DIGITS + 1):
        steps = decades * 10.0 ** (1 - digits)
        if np.allclose(values, np.round(values / steps) * steps, rtol=1e-9, atol=0):
            return np.where(values == 0, 0.0, steps)
    for bits in BITS_OF_HALF:
        smallest = 2.0**-24 if bits == 10 else 0.0  # where half precision is subnormal
        steps = np.maximum(2.0 ** (np.floor(np.log2(sizes)) - bits), smallest)
        if np.array_equal(np.round(values / steps) * steps, values):
            return np.where(values == 0, 0.0, steps)
    return np.zeros(len(values))


def _epsilon(x: NDArray[Any]) -> Array:
    """The relative precision of each column: that of float32 if all its values are such, (d,)."""
    with np.errstate(over="ignore"):
        single = (x[:1000].astype(np.float32) == x[:1000]).all(0)
    return np.where(single, np.finfo(np.float32).eps, np.finfo(np.float64).eps) / 2


def ranges_of(values: NDArray[Any]) -> Array:
    """Of each column the largest less the smallest; 0 if rounding alone tells values apart, (d,).

    Whole numbers are told apart by more.
    """
    low, high = (extreme.astype(np.float64) for extreme in (values.min(0), values.max(0)))
    ranges, precision = high - low, _epsilon(values)
    units = np.where(precision > 1e-15, IN_SINGLE, UNITS_OF_A_CONSTANT)
    rounding = units * precision * np.maximum(np.abs(low), np.abs(high))
    ranges[[i for i in np.flatnonzero(ranges <= rounding) if (values[:, i] % 1).any()]] = 0.0
    return ranges


def _sum_of_errors(errors: Array, slopes: Sequence[float]) -> float:
    return float(np.linalg.norm(errors * np.asarray(slopes)))


@dataclass(frozen=True)
class Atom:
    """A value that many rows share.

    Attributes:
        column: its number.
        value: in units of x.
        share: of the rows.
    """

    column: int
    value: float
    share: float


def atoms(x: Array, share: float) -> list[Atom]:
    """The most frequent value of each column of x (N, d) in which that many rows or more share it.

    Args:
        x: rows (N, d).
        share: of the rows, above 1 / N.
    """
    columns = np.sort(x.T, axis=1)  # rows of it lie together
    several = max(1, int(np.ceil(share * len(x))) - 1)
    equal = columns[:, several:] == columns[:, : len(x) - several]
    return [_most_frequent(int(i), columns[i]) for i in np.flatnonzero(equal.any(1))]


def _most_frequent(column: int, values: Array) -> Atom:
    different, counts = np.unique(values, return_counts=True)
    most = int(counts.argmax())
    return Atom(column, float(different[most]), float(counts[most] / len(values)))


@np.errstate(over="ignore", invalid="ignore")  # of values as large as there are
def codes(x: Array) -> list[Atom]:
    """Values of columns of x (N, d) that may say that nothing was measured, as -999 beside 3.7.

    They are further away from all others than these are from each other; much further if they
    are none of CODES, by far if only one row has them.
    """
    found: list[Atom] = []
    low, middle, high = x.min(0), np.median(x, axis=0), x.max(0)
    sides = np.sort([middle - low, high - middle], axis=0)
    suspects = _are_codes(low) | _are_codes(high) | (sides[1] > (REPEATED_FAR - 1) * sides[0])
    for column in map(int, np.flatnonzero(suspects)):
        values = x[:, column]
        may_be = _are_codes(values) | _are_alone(values)
        others = np.unique(values[~may_be])
        for code in np.unique(values[may_be]) if len(others) else ():
            is_small = abs(code) <= SMALL and len(others) < ENOUGH_OTHERS
            if is_small and not _is_beside_a_scale(code, values):
                continue
            if is_small or np.abs(others - code).min() > max(np.ptp(others), abs(code) > SMALL):
                found.append(Atom(column, float(code), float(np.mean(values == code))))
    return found


def _is_beside_a_scale(code: float, values: Array) -> bool:
    """True for 99 or -9 beside the answers 1 to 5: consecutive whole numbers, and far from them."""
    answers = ((values >= 0) & (values < 10)) | ~_are_codes(values)  # of which 7, 8 and 9 may be
    scale = np.unique(values[answers & (values != code)])
    steps, two_digits = np.diff(scale), abs(code) > 9
    if code == 0 or len(scale) < 3 - two_digits or (steps != 1).any() or (scale % 1).any():
        return False
    distance = np.abs(scale - code).min()
    return bool(distance > np.ptp(scale) or (code < 0 <= scale[0] and distance > LARGEST_GAP))


def _are_codes(values: Array) -> NDArray[np.bool_]:
    return np.isin(values.astype("f4"), CODES)  # as files of single precision have them


def _are_alone(values: Array) -> NDArray[np.bool_]:
    """Where the value is that is furthest from all others, if it is no outlier; or nowhere."""
    different, counts = np.unique(values, return_counts=True)
    if len(different) <= ENOUGH_OTHERS:
        return np.zeros(len(values), dtype=bool)
    steps = np.diff(different)
    end = -1 if steps[-1] > steps[0] else 0
    times = REPEATED_FAR if counts[end] > 1 else ALONE_FAR
    return (values == different[end]) & (steps[end] > times * np.ptp(np.delete(different, end)))
