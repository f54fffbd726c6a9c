"""Accuracy beside other programs, at equal minutes: see docs/accuracy.md."""
