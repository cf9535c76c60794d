"""For the reference: the docstrings that classes have at run time, where options are fields."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import griffe


class Options(griffe.Extension):
    """Give such a class, read as text, the docstring that it has at run time."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called by griffe for each class."""
        if cls.docstring and any("with_options" in str(d.value) for d in cls.decorators):
            made = getattr(import_module(cls.module.path), cls.name)
            cls.docstring.value = inspect.cleandoc(made.__doc__)
            # The signature that a decorator makes is not to be seen in the text.
            unseen = {"warn_unknown_params": False, "warn_missing_types": False}
            cls.docstring.parser_options = {**cls.docstring.parser_options, **unseen}
