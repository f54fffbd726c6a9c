"""Where the stages meet: train, predict, evaluate, measure, check, demo. Faces call these and show."""
