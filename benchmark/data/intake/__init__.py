"""Images as people have them become images in a layout, or a table of them beside the card.

``folders.py`` and ``tables.py`` read what there is, ``division.py`` draws a split where there is
none, ``preparing.py`` chooses among them.
"""
