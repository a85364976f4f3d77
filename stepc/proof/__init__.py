"""The solver: answers every query independently of the sampler."""
