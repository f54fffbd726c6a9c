"""Cross-validation: as many trainings as folds, each scored on the images that it did not see."""
