"""The parts that the identifiable flows (`iflow`) and VAEs (`ivae`) are both made of."""

import identiflow.checkout  # noqa: F401 - `shared.metrics` then is `identiflow.shared.metrics`
