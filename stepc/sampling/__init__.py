"""Reasoning paths: drawing them from a graph and building their queries."""
