"""The guard: is an image like those a model was trained on? Statistics, their reference, the verdict."""
