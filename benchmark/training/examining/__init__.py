"""How good a network is: the metrics, and the examination of a group after an epoch."""
