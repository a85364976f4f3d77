"""The `.step` language: what to sample and how to say it."""
