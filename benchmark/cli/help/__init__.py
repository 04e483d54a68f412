"""What the command line says of itself: help, examples, completion."""
