"""Images larger than memory: predicted block by block, with the labels that the whole image would have.

`run.stream` is the way; `passes` says what is done with a block; `work` is the folder in which half-done
work waits to be gone on with; `plan` says beforehand what it will take.
"""
