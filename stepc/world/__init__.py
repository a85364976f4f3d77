"""The rendered world: small films whose true scene graph is known."""
