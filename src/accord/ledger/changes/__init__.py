"""Contract changes: the impact read from the books, kept as a plan, applied by two people, and taken back."""
