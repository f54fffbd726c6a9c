"""Models of other programs: bioimage.io packages, read but never executed."""
