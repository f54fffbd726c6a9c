"""Training: the loop, its schedule, and the state that makes a killed run go on exactly."""
