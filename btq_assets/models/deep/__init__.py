"""Networks as forecasters: specifications, and from panels to windows and back.

Belongs here: what surrounds a network. Read `windowed` (what all share), then one family. Does not
belong here: torch modules (`models.networks`), how they are trained (`models.training`).
"""
