"""Grading of answers by rules, judge models and verifiable rewards."""
