"""The page on the package index: README.md, with links that lead somewhere from there too.

Links to files of the repository begin with its address there, which is `Source` under
[project.urls] in pyproject.toml. As long as none is given, such links are plain words. All else
that is to be said of the package is in pyproject.toml.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
LINK_TO_A_FILE = re.compile(r"\[([^\]]+)\]\((?!\w+:|#)([^)]+)\)")


def index_page(readme: str, pyproject: str) -> str:
    """The README as the package index shows it."""
    source = re.search(r'^Source = "(.+?)/?"$', pyproject, re.MULTILINE)
    link = rf"[\1]({source[1]}/blob/HEAD/\2)" if source else r"\1"
    return LINK_TO_A_FILE.sub(link, readme)


if __name__ == "__main__":
    texts = [(HERE / name).read_text("utf-8") for name in ("README.md", "pyproject.toml")]
    setup(long_description=index_page(*texts), long_description_content_type="text/markdown")
