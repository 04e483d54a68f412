"""What is kept of a training: the working folder of a run, and its checkpoints."""
