"""Networks as forecasters: specifications, and from panels to windows and back.

Belongs here: what surrounds a network. Read `fitted_network` (what a fit leaves behind), `panel_reader`
(what a network reads) and `windowed` (fitting and forecasting), which all share; then one family. Does
not belong here: torch modules (`models.networks`), how they are trained (`models.training`).
"""
