"""Trained networks in use: exported, asked of images, evaluated elsewhere, timed."""
