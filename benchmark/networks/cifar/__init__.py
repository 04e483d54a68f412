"""The CIFAR networks of the field, a file a family, and what they have in common."""
