"""Jobs of Slurm, each a worker of its own on the folder that they share."""
