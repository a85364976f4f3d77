"""The typed intermediate representation: levels, text form, JSON form, verifier, graph."""
