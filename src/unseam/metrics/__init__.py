"""Agreement of a prediction with the truth: pixels, objects, partitions; `scores.score` gives all of them."""
