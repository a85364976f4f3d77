"""The solver: a second opinion on every query."""
