"""Benchmarks by their own files and rules, and tables like the paper's."""
