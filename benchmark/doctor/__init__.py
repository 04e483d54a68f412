"""What is wrong with an installation, its machine and its folders, and what to do about it."""
