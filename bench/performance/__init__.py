"""How fast unseam is beside others: `python -m bench.performance --help`."""
