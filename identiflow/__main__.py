"""`python -m identiflow COMMAND`, which is `identiflow COMMAND`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

# What the commands need beyond the library: the extra "cli".
NEEDED = ("click", "jinja2", "matplotlib", "pandas")


def main() -> None:
    """Run the command line, or say what to install for it."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"identiflow: error: Expected {', '.join(missing)} for the command line; found "
            'none. Run pip install "identiflow[cli]".',
            file=sys.stderr,
        )
        sys.exit(2)
    from identiflow.main import app

    app(prog_name="identiflow")


if __name__ == "__main__":
    main()
