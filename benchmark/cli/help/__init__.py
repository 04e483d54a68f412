"""What the command line says of itself: help and examples."""
