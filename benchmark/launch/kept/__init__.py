"""What the folder of runs holds, and what of it can go. Without torch: a look at files."""
