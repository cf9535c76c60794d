"""Input from users: options, rows of numbers, and the checks that refuse some of it."""
