"""The driver compiles one video or a corpus, in worker processes or on a Ray cluster."""
