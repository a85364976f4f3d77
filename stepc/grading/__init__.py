"""Grading answers: rules, judges, rewards."""
