"""The means of computing: seeded draws, networks, compiled steps, passes over many rows."""
