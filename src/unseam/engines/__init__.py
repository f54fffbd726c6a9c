"""Engines: what runs a network, each a way from plain arrays to a function of a tile."""
