"""The same numbers in any container are the same x and the same u, or are refused by its name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
import xarray as xr
from torch.utils.data import DataLoader, TensorDataset

from identiflow.shared.auxiliary import AuxiliaryEncoder, read_auxiliary
from identiflow.shared.datasets import nonstationary_sources
from identiflow.shared.inputs.containers import column_names
from identiflow.shared.inputs.validation import as_matrix

N = 24
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 3)).astype("f4").astype("f8")  # which single precision holds too
CODES = np.arange(N) * 7 % 5
WORDS = np.array(["ada", "ben", "cy", "dee", "eve"])[CODES]
TIME = np.linspace(0, 1, N).astype("f4").astype("f8")
NAMES = ["left", "right", "up"]


def encoded(u: Any, like: AuxiliaryEncoder | None = None) -> np.ndarray:
    columns = like.read(u, X) if like else read_auxiliary(u, X)
    return (like or AuxiliaryEncoder.fit(columns)).encode(columns).numpy()


# What holds rows --------------------------------------------------------------------------------

OF_X: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda x: x,
    "Fortran order": np.asfortranarray,
    "list": lambda x: x.tolist(),
    "list of rows": list,
    "tuple": lambda x: tuple(map(tuple, x)),
    "objects": lambda x: x.astype(object),
    "words": lambda x: x.astype(float).astype(str),
    "masked, without a mask": np.ma.masked_array,
    "tensor": torch.tensor,
    "pandas": lambda x: pd.DataFrame(x, columns=NAMES),
    "pandas, nullable": lambda x: pd.DataFrame(x, columns=NAMES).astype("Float64"),
    "pandas of pyarrow": lambda x: pd.DataFrame(x, columns=NAMES).astype("double[pyarrow]"),
    "pandas of objects": lambda x: pd.DataFrame(x.astype(object)),
    "pyarrow's table": lambda x: pa.table(dict(zip(NAMES, x.T, strict=True))),
    "pyarrow's batch": lambda x: pa.table(dict(zip(NAMES, x.T, strict=True))).to_batches()[0],
}
TYPES_OF_X = ["f8", "f4", "i8", "i1", "?"]


@pytest.mark.parametrize("dtype", TYPES_OF_X)
@pytest.mark.parametrize("container", OF_X)
def test_x_is_the_same_in_any_container(container: str, dtype: str) -> None:
    x = (X > 0 if dtype == "?" else 9 * X).astype(dtype)
    np.testing.assert_array_equal(as_matrix(OF_X[container](x)), x.astype(float))


OF_U: dict[str, Callable[[np.ndarray], Any]] = {
    "array": lambda u: u,
    "column": lambda u: u[:, None],
    "list": lambda u: u.tolist(),
    "tuple": lambda u: tuple(u.tolist()),
    "objects": lambda u: np.array(u.tolist(), dtype=object),
    "series": pd.Series,
    "series of objects": lambda u: pd.Series(u.tolist(), dtype=object),
    "frame": lambda u: pd.DataFrame({"u": u}),
    "index": pd.Index,
    "pandas' array": lambda u: pd.array(u.tolist()),
    "pyarrow's array": lambda u: pa.array(u.tolist()),
    "pyarrow's chunks": lambda u: pa.chunked_array([u[:5].tolist(), u[5:].tolist()]),
    "pyarrow's table": lambda u: pa.table({"u": u.tolist()}),
    "pyarrow's batch": lambda u: pa.table({"u": u.tolist()}).to_batches()[0],
    "pandas of pyarrow": lambda u: pd.Series(pa.array(u.tolist()).to_pandas(types_mapper=None)),
}
VALUES_OF_U = {
    "integers": CODES,
    "words": WORDS,
    "floats": TIME,
    "flags": CODES > 1,
    "days": np.datetime64("2020-01-01") + CODES,
}


@pytest.mark.parametrize("values", VALUES_OF_U)
@pytest.mark.parametrize("container", OF_U)
def test_u_is_the_same_in_any_container_in_fit_and_after(container: str, values: str) -> None:
    u = VALUES_OF_U[values]
    fitted = AuxiliaryEncoder.fit(read_auxiliary(u, X))
    np.testing.assert_array_equal(encoded(OF_U[container](u)), encoded(u))
    np.testing.assert_array_equal(encoded(OF_U[container](u), fitted), encoded(u))


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 1 has no StringDType")
def test_strings_of_any_length_are_labels() -> None:
    np.testing.assert_array_equal(encoded(WORDS.astype(np.dtypes.StringDType())), CODES)


def test_a_table_of_pyarrow_has_labels_and_values() -> None:
    table = pa.table({"l": WORDS.tolist(), "t": TIME})
    expected = encoded(pd.DataFrame({"l": WORDS, "t": TIME}))
    np.testing.assert_array_equal(encoded(table), expected)
    assert AuxiliaryEncoder.fit(read_auxiliary(table, X)).names == [["l"], ["t"]]


class Eager:
    """A series of a library that narwhals knows of by its interface alone, as polars' is."""

    def __init__(self, series: pa.ChunkedArray) -> None:
        self.series = series

    def __narwhals_series__(self) -> Any:
        import narwhals as nw

        return nw.from_native(self.series, series_only=True)._compliant_series


def test_whatever_narwhals_reads_is_read() -> None:
    np.testing.assert_array_equal(encoded(Eager(pa.chunked_array([WORDS.tolist()]))), CODES)


@pytest.mark.parametrize("names", [NAMES, [0, 1, 2], [("a", 1), ("b", 2), ("b", 3)]], ids=str)
def test_narwhals_own_frames_have_columns_of_any_name(names: list[Any]) -> None:
    frame = nw.from_native(pd.DataFrame(X, columns=pd.Index(names, tupleize_cols=False)))
    np.testing.assert_array_equal(as_matrix(frame), X)
    series = nw.from_native(pd.Series(WORDS), series_only=True)
    np.testing.assert_array_equal(encoded(series), CODES)


# What holds none --------------------------------------------------------------------------------


def stand_in(*attributes: str) -> Any:
    """What an object of a package that is not installed here is known by, and slow as it is."""

    def slow(_: Any, row: int) -> None:
        if row >= N:
            raise IndexError
        time.sleep(30)

    names = {name: None for name in attributes}
    return type("AnnData", (), {**names, "__len__": lambda _: N, "__getitem__": slow})()


def generator() -> Any:
    yield X, CODES


OF_TORCH = TensorDataset(torch.tensor(X))
WITHOUT_ROWS: dict[str, tuple[Callable[[], Any], str]] = {
    "AnnData": (lambda: stand_in("obs_names", "var_names"), r"an AnnData. Pass its to_df\(\)"),
    "DataLoader": (lambda: DataLoader(OF_TORCH), r"DataLoader. fit\(iter\(loader\)\), with"),
    "Dataset": (lambda: OF_TORCH, r"a torch Dataset. fit\(dataset\) alone"),
    "xarray's Dataset": (
        lambda: xr.Dataset({name: ("t", X[:, i]) for i, name in enumerate("ab")}),
        "an xarray Dataset. Pass one of its",
    ),
    "dask": (lambda: type("Lazy", (), {"__dask_graph__": dict})(), r"Pass its compute\(\)"),
    "a lazy frame": (lambda: stand_in("collect", "collect_schema"), r"Pass its collect\(\)"),
    "parts": (lambda: [(X[:5], CODES[:5]), (X, CODES)], r"pairs. Of .* pass iter\(parts\) to fit"),
    "one part": (lambda: [(X, CODES)], r"pass iter\(parts\) to fit"),
    "parts of tensors": (lambda: ((torch.tensor(X), CODES),) * 2, r"pass iter\(parts\) to fit"),
    "a data set": (
        lambda: nonstationary_sources(2, n_segments=3, samples_per_segment=8),
        r"Pass its rows and its u: fit\(data.x, data.u\)",
    ),
    "a dict": (lambda: {"a": TIME, "b": TIME}, "a dict. Pass a data frame of it"),
    "a set": (lambda: set(WORDS.tolist()), "a set. It has no order; pass a list"),
    "a generator": (generator, "a generator. Only fit reads streams"),
    "an iterator": (lambda: iter([1, 2]), "a list_iterator. Only fit reads streams"),
    "a zip": (lambda: zip(X, CODES, strict=True), "a zip. Only fit reads streams"),
}


@pytest.mark.parametrize("place", ["x", "u", "u after fit"])
@pytest.mark.parametrize("case", WITHOUT_ROWS)
def test_what_has_no_rows_is_refused_at_once_by_its_type(case: str, place: str) -> None:
    make, message = WITHOUT_ROWS[case]
    fitted = AuxiliaryEncoder.fit(read_auxiliary(CODES, X))
    read = {
        "x": as_matrix,
        "u": lambda u: read_auxiliary(u, X),
        "u after fit": lambda u: fitted.read(u, X),
    }[place]
    started = time.perf_counter()
    with pytest.raises(TypeError, match=f"Expected {place[0]} as an array.*; got .*{message}"):
        read(make())
    assert time.perf_counter() - started < 5


class View(np.ndarray):
    """An array that can be asked for itself, as the parts of an AnnData are."""

    def toarray(self) -> np.ndarray:
        return np.asarray(self)


def test_an_array_with_a_way_to_arrays_is_dense() -> None:
    np.testing.assert_array_equal(as_matrix(X.view(View)), X)
    np.testing.assert_array_equal(encoded(CODES.view(View)), encoded(CODES))
    np.testing.assert_array_equal(encoded(TIME.view(View)), encoded(TIME))


UNREADABLE_X: dict[str, tuple[Callable[[], Any], str]] = {
    "trials in a list": (
        lambda: [X, X[:5]],
        r"x with rows of one length.*np.concatenate\(x\).*np.arange\(2\), lengths\)",
    ),
    "trials in an array": (
        lambda: np.stack([X, X]),
        r"Of 2 trials with 24 rows of 3 columns .* x.reshape\(-1, 3\).* x.swapaxes\(1, 2\)",
    ),
    "trials of xarray": (lambda: xr.DataArray([X, X]), r"pass np.array\(x\).reshape\(-1, 3\)"),
    "trials of one length in a list": (lambda: [X, X], r"\(x\).reshape\(-1, 3\).*\(2\), 24"),
    "a row": (lambda: X[0], r"a single column is np.c_\[x\], a single row np.atleast_2d"),
    "moments": (lambda: np.datetime64("2020-01-01") + CODES[:, None], "got dates or times"),
    "moments in a frame": (
        lambda: pd.DataFrame({"day": np.datetime64("2020-01-01") + CODES}),
        "got dates or times. Pass numbers",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE_X)
def test_shapes_and_types_of_x_are_refused_with_what_to_do(case: str) -> None:
    make, message = UNREADABLE_X[case]
    with pytest.raises(ValueError, match=message):
        as_matrix(make())


def test_trials_of_u_are_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"got shape \(2, 24, 3\). Of trials .* u.reshape\(-1, 3"):
        encoded(np.stack([X, X]))


BAD_CELLS: dict[str, tuple[Any, str]] = {
    "text": ("much", "'much'"),
    "a name of numbers": ("4_9", "'4_9'"),
    "a date": (pd.Timestamp("2020-01-01"), "Timestamp"),
    "a list": ([1.0], r"\[1.0\]"),
}


@pytest.mark.parametrize("case", BAD_CELLS)
def test_a_cell_among_1000_columns_is_named_by_its_column(case: str) -> None:
    cell, shown = BAD_CELLS[case]
    frame = pd.DataFrame(np.zeros((5, 1000)), columns=[f"gene {i}" for i in range(1000)])
    frame["gene 707"] = np.array([1.0, 2.0, None, 3.0, 4.0], dtype=object)
    frame.at[2, "gene 707"] = cell
    message = rf"Expected x to be numeric.*{shown}.* in row 2, column 'gene 707'"
    with pytest.raises((TypeError, ValueError), match=message):
        as_matrix(frame)


@pytest.mark.parametrize("cell", [np.nan, None, pd.NA, np.inf])
def test_a_missing_number_is_named_by_its_column(cell: Any) -> None:
    frame = pd.DataFrame(np.zeros((5, 1000)), columns=[f"gene {i}" for i in range(1000)])
    frame.at[2, "gene 707"] = cell
    with pytest.raises(ValueError, match=r"first at \(2, 707\), in column 'gene 707'. Drop or"):
        as_matrix(frame)
    table = pa.Table.from_pandas(frame.replace(np.inf, None))
    with pytest.raises(ValueError, match=r"first at \(2, 707\), in column 'gene 707'. Drop or"):
        as_matrix(table)


def test_the_index_that_pandas_leaves_in_an_arrow_table_is_no_column() -> None:
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"]).iloc[[4, 0, 3]]
    table = pa.Table.from_pandas(frame)
    assert "__index_level_0__" in table.column_names
    np.testing.assert_array_equal(as_matrix(table), frame)
    assert column_names(table) == ("a", "b")
    named = pa.Table.from_pandas(frame.rename_axis("c"))  # a column like others
    assert column_names(named) == ("a", "b", "c")


def test_a_list_of_masked_rows_keeps_its_masks() -> None:
    mask = np.arange(N)[:, None] % 8 == np.array([[3, 3, 9]])
    masked = np.ma.masked_array(X, mask)
    for rows in (masked, list(masked), tuple(masked)):
        with pytest.raises(ValueError, match="x without masked cells; got 6 of them"):
            as_matrix(rows, "x")
    np.testing.assert_array_equal(as_matrix(list(np.ma.masked_array(X)), "x"), X)
    with pytest.raises(ValueError, match="u without masked cells; got 6 of them"):
        encoded(list(masked))


def test_a_list_of_series_has_one_order_of_names() -> None:
    rows = [pd.Series(row, NAMES) for row in X]
    np.testing.assert_array_equal(as_matrix(rows, "x"), X)
    rows[5] = rows[5][NAMES[::-1]]
    with pytest.raises(ValueError, match=r"same names in one order.*Pass pd.DataFrame\(x\)"):
        as_matrix(rows, "x")
