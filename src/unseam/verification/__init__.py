"""The certificate that a prediction does not depend on how its image was cut.

`cuts` says which regions are looked at and how each is cut; `regions` compares probabilities and decisions,
`whole` the labels of the whole image; `seams` finds where they differ; `record` holds what came of it, and
`words` says it.
"""
