"""Edited videos whose edits are what is asked: questions from the raw file, without a model."""
