"""Fits over data seeds, each row kept as it is done; one script for each table or figure."""
