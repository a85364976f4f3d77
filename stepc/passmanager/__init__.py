"""Passes and pipelines: what a pass is, finding, running and caching passes."""
