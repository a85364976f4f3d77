"""Writes questions, answers and rationales for reasoning paths, in the words of a spec."""
