"""What a step does to the weights: optimiser, learning rate, stages, averages."""
