"""Compiling: one video, a corpus, in processes or on a cluster."""
