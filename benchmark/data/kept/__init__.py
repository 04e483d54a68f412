"""What is kept of images that were decoded or drawn once."""
