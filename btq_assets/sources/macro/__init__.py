"""Macro and market-wide series, every vintage a row."""
