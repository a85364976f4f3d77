"""The rendered world: short synthetic films with ground-truth scene graphs."""
