"""Every table of the house, one file per layer. Start with `base.py`."""
