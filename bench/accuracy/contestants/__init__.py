"""How each peer is trained: a script each, run in an environment of the peer's own."""
