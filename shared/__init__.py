"""What the identifiable flows (`iflow`) and the identifiable VAEs (`ivae`) are both made of."""

import identiflow  # noqa: F401 - in a checkout `shared.metrics` then is `identiflow.shared.metrics`
