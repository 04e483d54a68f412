"""The ways in which images and labels lie in a folder, a module each with its ``LAYOUT``.

A further one is a file in a ``layouts/`` folder of one's own; ``image_folder.py`` is the plainest
to look at. ``listing.py`` is what they are made of, ``catalogue.py`` finds them.
"""
