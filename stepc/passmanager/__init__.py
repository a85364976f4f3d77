"""Defines, finds, runs and caches passes, and parses pipelines."""
