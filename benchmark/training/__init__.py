"""Protocol, learners, the loop, evaluation, checkpoints."""
