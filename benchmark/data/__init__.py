"""Data set cards, sources, augmentation and the two loaders."""
