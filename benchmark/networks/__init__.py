"""Networks by name, what they return, and what one can do to them: share a head, fold, count.

This file imports nothing, so that names can be listed without loading torch.
"""
