"""Checks of the code that take longer than tests may, or count what tests hold to."""
