"""One page about a fitted model."""

from identiflow.report.page import write_report

__all__ = ["write_report"]
