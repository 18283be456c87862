"""Figures that are promised beside those that were measured: `promised` first."""
