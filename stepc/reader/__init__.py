"""Reads the texts of samples back to queries, by the wordings of a spec and the words of a graph."""
