"""What a step runs: a network with its recipe, and the programs that they are compiled to."""
