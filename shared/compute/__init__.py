"""How things are computed: seeded draws, networks, compiled steps, passes over many rows."""
