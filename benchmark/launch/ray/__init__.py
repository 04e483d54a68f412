"""The nodes of a Ray cluster, without a folder that they share."""
