"""How long a plan will take on this machine: from what was trained, recorded or measured here.

A prediction says where it is from. What nothing is known of has none: no number is made up.
"""
