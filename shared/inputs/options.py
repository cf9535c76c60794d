"""Kinds of options: one `Kind` for each sort of value, with the words that refuse all others."""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from math import inf
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from typing_extensions import dataclass_transform

from identiflow.shared.inputs.moments import MOMENTS, word_of

T = TypeVar("T")
SECTIONS = ("Attributes:", "Raises:", "Reference:", "Example:")  # of a docstring, after its Args


@dataclass(frozen=True)
class Kind:
    """The values that an option may have.

    Attributes:
        words: what is expected, as it goes on after the option's name.
        accepts: whether a value, whatever it is, is one of them; it never raises.
        hint: what to do instead.
    """

    words: str
    accepts: Callable[[Any], bool]
    hint: str = ""

    def check(self, name: str, value: Any) -> None:
        """Raise a ValueError that names the option unless the value is of this kind."""
        if not self.accepts(value):
            message = f"Expected {name} {self.words}; got {reprlib.repr(value)}. {self.hint}"
            raise ValueError(message.rstrip())


def check_options(kinds: Mapping[str, Kind], values: Mapping[str, Any]) -> None:
    """Check the value of each of these options."""
    for name, kind in kinds.items():
        kind.check(name, values[name])


def option(
    *, default: Any = MISSING, kind: Kind | None = None, about: str = "", kw_only: bool = True
) -> Any:
    """A field that is an option, declared here and nowhere else.

    Args:
        default: its value where none is given; without one it has to be given.
        kind: which values it may have; any, by default.
        about: what it is for, as it goes on after its name in the documentation.
        kw_only: False for one that is given by its position.
    """
    return field(default=default, kw_only=kw_only, metadata={"kind": kind, "about": about})


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(option,))
def with_options(cls: type[T]) -> type[T]:
    """Make a class of whose annotated attributes each is an argument of its constructor.

    What `option` says of them goes into its documentation and is what `check_fields` checks. A
    subclass that annotates one of them again changes the default and nothing else.
    """
    made = dataclass(eq=False, repr=False, kw_only=True)(cls)
    made.__doc__ = _documented(made)
    return made


def check_fields(made: Any) -> None:
    """Check all options of an object whose class was made by `with_options`."""
    kinds = declared(type(made), "kind")
    check_options({name: kind for name, kind in kinds.items() if kind}, vars(made))


def values_of(made: Any) -> dict[str, Any]:
    """All options of an object whose class was made by `with_options`, by name."""
    return {field.name: getattr(made, field.name) for field in fields(made)}


def as_they_are(made: Any) -> dict[str, Any]:
    """`values_of` as numbers, texts and tuples, which stay when a list is changed in place later.

    A module or a function of the user's own is left as it is.

    Raises:
        ValueError: for any other value that a file could not hold, such as a complex number.
    """
    values = {name: _plain(value) for name, value in values_of(made).items()}
    for name, value in values.items():
        if not (is_plain(value) or callable(value)):  # a torch module is called too
            raise ValueError(
                f"Expected {name} to be made of numbers and texts, or an object of your own that "
                f"computes; got {reprlib.repr(value)}, which no file could hold."
            )
    return values


def _plain(value: Any) -> Any:
    """The twin in JSON of a value that JSON does not know, such as a number of a grid search."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, MOMENTS):  # a label, of which this is the word
        return word_of(value)
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, bytes):  # a label, which is read so too
        return value.decode("utf-8", "backslashreplace")
    if is_plain(value):
        return value
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    return str(value) if type(value).__module__ == "torch" else value  # a device


def is_plain(value: Any) -> bool:
    """True for what JSON holds, if lists and tuples are taken for the same."""
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def expect_decorated(cls: type) -> None:
    """Raise for a class that adds or changes options without `with_options`, which loses them."""
    for base in cls.__mro__:
        if "__dataclass_fields__" in vars(base):
            return
        annotated = [a for a in inspect.get_annotations(base).values() if "ClassVar" not in str(a)]
        if annotated or "__init__" in vars(base):
            raise TypeError(
                f"Expected @with_options on {base.__name__}, a class with options of its own; got "
                "none. Decorate it, and declare them as fields: name: type = option(default=...)."
            )


def declared(cls: type, what: str) -> dict[str, Any]:
    """The values that `option` was given for each field, by the class that declared it."""
    bases = filter(is_dataclass, reversed(cls.__mro__))
    return {f.name: f.metadata[what] for b in bases for f in fields(b) if what in f.metadata}


def _documented(cls: type) -> str:
    """The docstring of a class with the arguments of its constructor in it."""
    about = declared(cls, "about")
    lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
    end = next((i for i, line in enumerate(lines) if line in SECTIONS), len(lines))
    entries = [f"    {name}: {text}" for name, text in about.items() if text]
    text = [*lines[:end], "", "Args:", *entries, "", *lines[end:]]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(text)).rstrip()


def count(least: int = 1, hint: str = "") -> Kind:
    """Integers from `least` on."""
    words = f"to be an integer of at least {least}"
    return Kind(words, lambda v: _is_integer(v) and v >= least, hint)


def one_of(words: Collection[str], hint: str = "") -> Kind:
    """These words."""
    listed = ", ".join(repr(word) for word in words)
    return Kind(f"to be one of {listed}", lambda v: isinstance(v, str) and v in words, hint)


def instance_of(*types: type, words: str) -> Kind:
    """Whatever is of these types."""
    return Kind(words, lambda v: isinstance(v, types))


def either(one: Kind, other: Kind) -> Kind:
    """The values of both."""
    return Kind(f"{one.words} or {other.words}", lambda v: one.accepts(v) or other.accepts(v))


def optional(kind: Kind) -> Kind:
    """Those values, and None."""
    return Kind(f"{kind.words}, or None", lambda v: v is None or kind.accepts(v), kind.hint)


def number(words: str, accepts: Callable[[Any], bool], hint: str = "") -> Kind:
    """Real numbers of which something else is true too."""
    return Kind(words, lambda v: _is_number(v) and bool(accepts(v)), hint)


POSITIVE = number("to be positive", lambda v: 0 < v < inf)
NOT_NEGATIVE = number("to be at least 0", lambda v: 0 <= v < inf)
SEED = Kind("to be an integer from 0 to 2**63 - 1", lambda v: _is_integer(v) and 0 <= v < 2**63)
SHARE = number("between 0 and 1 (both excluded)", lambda v: 0 < v < 1)
FLAG = Kind("to be True or False", lambda v: isinstance(v, bool | np.bool_))
COMPILE = Kind(
    "to be True, False or 'auto'",
    lambda v: FLAG.accepts(v) or (isinstance(v, str) and v == "auto"),
)
LABEL = instance_of(
    str, bytes, int, float, np.generic, tuple, *MOMENTS, words="to be one of the values of u"
)
WIDTHS = Kind(
    "to be integers of at least 1, such as (128, 128)",
    lambda v: (
        isinstance(v, list | tuple | np.ndarray) and all(_is_integer(w) and w >= 1 for w in v)
    ),
)


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
