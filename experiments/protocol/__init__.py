"""One protocol for all studies: data, one fit, its row, the table, the figures."""
