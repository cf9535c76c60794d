"""`python -m identiflow COMMAND`, which is `identiflow COMMAND`."""

from __future__ import annotations

from identiflow.main import app

app(prog_name="identiflow")
