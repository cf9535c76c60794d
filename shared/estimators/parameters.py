"""scikit-learn's protocol for estimators, without importing scikit-learn.

Importing it would import pandas, and take as long as importing torch. Pipeline, clone and
GridSearchCV only ask for these methods.
"""

from __future__ import annotations

import inspect
from typing import Any

from typing_extensions import Self


class Parameterized:
    """Constructor arguments are attributes of the same name, to be read and changed."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments; unknown names are a ValueError."""
        for name, value in params.items():
            if name not in self._parameter_names():
                raise ValueError(
                    f"Expected parameters among {self._parameter_names()}; got {name!r}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Only what differs from the defaults."""
        signature = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(signature[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """scikit-learn's description of an estimator; u takes the place of its y."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(),
        )
