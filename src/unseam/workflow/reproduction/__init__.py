"""The data sets of the paper and of the field, each with its protocol: trained, predicted, scored, shown."""
