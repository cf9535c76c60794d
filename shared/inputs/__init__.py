"""What users hand over: options, rows of numbers, and what is refused of them."""
