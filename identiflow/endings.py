"""What the name of a file promises: the kind of table in it, and how it is packed."""

from __future__ import annotations

from pathlib import Path

ENDINGS = (".csv", ".tsv", ".parquet", ".npz", ".npy")  # that can be written
TEXT = {".csv": ",", ".tsv": "\t", ".txt": "\t"}  # and what separates cells in them
PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zip": "zip"}
HINTS = {
    ".xls": "Save the sheet as CSV",
    ".xlsx": "Save the sheet as CSV",
    ".ods": "Save the sheet as CSV",
    ".zst": "Unpack it, or pack it by gzip",
    ".feather": "Write it as Parquet",
    ".rds": "In R, write.csv(table, file, row.names = FALSE)",
    ".rdata": "In R, write.csv(table, file, row.names = FALSE)",
    ".mat": "Write its arrays as NPZ",
    ".h5": "Write its table as Parquet",
    ".h5ad": "Write its table as Parquet",
    ".dat": "Let its name end in .txt",
}


def written(path: Path) -> str:
    """The ending of a path, if tables are written to such.

    Raises:
        ValueError: for any other.
    """
    return _among(ENDINGS, path.suffix.lower(), path)


def read(path: Path) -> str:
    """The ending of a path, if tables are read from such; that before .gz and the like.

    Raises:
        ValueError: for any other.
    """
    if not promised_packing(path):
        return _among(tuple(dict.fromkeys([*ENDINGS, *TEXT])), path.suffix.lower(), path)
    ending = Path(path.stem).suffix.lower()
    # Of a.zip the name says nothing about what is in it: a table of text, as in a.csv.zip.
    return _among(tuple(TEXT), ending if ending in {*ENDINGS, *HINTS, *TEXT} else ".csv", path)


def check_no_table(path: Path, ending: str) -> None:
    """Raise for a path that promises a table, where a model or a page of HTML is to be written."""
    if path.suffix.lower() in {*ENDINGS, *TEXT}:
        raise ValueError(f"Expected a file that ends in {ending}; got {path}, a table. Name it so.")


def promised_packing(path: Path) -> str | None:
    """How the name of a file says that it is packed."""
    return PACKED.get(path.suffix.lower())


def is_text(path: Path) -> bool:
    """True for a table that is text by its name."""
    return read(path) in TEXT


def usual_separator(path: Path) -> str:
    """What separates the cells of a table of text, going by its name."""
    return TEXT[read(path)]


def _among(known: tuple[str, ...], ending: str, path: Path) -> str:
    if ending in known:
        return ending
    hint = HINTS.get(path.suffix.lower())
    raise ValueError(
        f"Expected a file that ends in {', '.join(known)}; got {path}.{f' {hint}.' if hint else ''}"
    )
