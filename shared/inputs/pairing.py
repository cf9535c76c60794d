"""Rows of x and of u are paired by their position; where both have an index, it has to agree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from identiflow.shared.inputs.containers import index_of
from identiflow.shared.inputs.order import check_order


def check_paired(x: Any, *others: Any, names: tuple[str, ...] = ("x", "u", "u_new")) -> None:
    """Raise if an index says that row i of two arguments are not of the same observation.

    pandas' frames and series have an index, and so have xarray's arrays with coordinates. Rows are
    never put in order: of two indexes one is wrong, and only the user knows which.

    Args:
        x: in any form.
        *others: what has a row for each of x: u in any form, or an `Auxiliary` that holds it.
        names: of all of them, in errors.

    Raises:
        ValueError: for indexes that differ in their labels or in the order of these, or that are
            not in order of time where u is made of that.
    """
    indexed = [(names[0], index_of(x))]
    in_order = [u for other in others for u in parts_of(other) if getattr(u, "in_order", False)]
    if in_order and indexed[0][1] is not None:
        check_order(*indexed[0], in_order[0])
    for name, other in zip(names[1:], others, strict=False):
        indexed += indexes_of(name, other)
    indexed = [(name, index) for name, index in indexed if index is not None]
    way = _way((x, *others)).format(indexed[0][0] if indexed else names[0])
    for name, index in indexed[1:]:
        _compare(*indexed[0], name, index, way)


def check_mask(u: Any, rows: Any) -> None:
    """Raise if the index of a mask says that it is not of the rows of u, or of what u holds.

    Raises:
        ValueError: for indexes that differ in their labels or in the order of these.
    """
    own = index_of(rows)
    for name, index in indexes_of("u", u) if own is not None else ():
        if index is not None:
            _compare(name, index, "rows", own, f"loc[{name}.index]")


def _way(all_values: tuple[Any, ...]) -> str:
    """How rows are put into the order of another's; "" where each is of another library."""
    dims = [getattr(values, "dims", ()) for values in all_values]
    first = [names[:1] if isinstance(names, tuple) else None for names in dims]
    if not any(first):
        return "loc[{}.index]"
    return "reindex_like({})" if len(set(first)) == 1 else ""


def parts_of(u: Any) -> Iterator[Any]:
    """An object in the place of u, and those that it holds."""
    yield u
    for part in _held_by(u).values():
        yield from parts_of(part)


def _held_by(u: Any) -> dict[str, Any]:
    """What an object in the place of u holds, by name; nothing for all else."""
    is_holder = is_dataclass(u) and not isinstance(u, type)
    return {field.name: getattr(u, field.name) for field in fields(u)} if is_holder else {}


def indexes_of(name: str, values: Any) -> Iterator[tuple[str, Any]]:
    """The index of u, or of each of the parts that an object in its place holds."""
    held = _held_by(values)
    if not held:
        yield name, index_of(values)
    for part, value in held.items():
        yield from indexes_of(f"{name}.{part}", value)


def _compare(name: str, index: Any, other: str, another: Any, way: str) -> None:
    if (
        _are_same(index, another)
        or _names_no_rows(index, another)
        or _names_no_rows(another, index)
    ):
        return
    by_position = f"{other}.to_numpy() pairs rows by their position"
    if index.has_duplicates or another.has_duplicates:
        advice = f"Labels come more than once, so only {by_position}. Pass that if it is right."
    elif way and index.nlevels == another.nlevels and index.isin(another).all():
        advice = f"Pass {other}.{way} to pair rows by their label; {by_position}."
    else:
        advice = f"Pass rows of the same observations in one order; {by_position}."
    raise ValueError(
        f"Expected {other} with the index of {name}, in the same order; got "
        f"{_difference(index, another)}. {advice}"
    )


def _are_same(index: Any, another: Any) -> bool:
    """True for equal labels; moments in another unit are unequal to `equals` of pandas 2.1."""
    if index.equals(another):
        return True
    are_moments = {getattr(i.dtype, "kind", "O") for i in (index, another)} in ({"M"}, {"m"})
    return are_moments and len(index) == len(another) and bool((index == another).all())


def _names_no_rows(index: Any, another: Any) -> bool:
    """True for the index that a frame has by default, beside one of other labels than integers."""
    is_default = type(index).__name__ == "RangeIndex" and index.equals(type(index)(len(index)))
    return is_default and getattr(another.dtype, "kind", "O") not in "iu"


def _difference(index: Any, another: Any) -> str:
    if len(index) != len(another):
        return f"{len(another)} rows for {len(index)}"
    row = next((i for i, pair in enumerate(zip(index, another, strict=True)) if _differ(*pair)), 0)
    return f"{another[row]!r} in row {row}, where {index[row]!r} is"


def _differ(label: Any, other: Any) -> bool:
    return not (label is other or label == other)
