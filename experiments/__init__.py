"""One script for each table or figure: `python -m experiments NAME [--smoke]`."""
