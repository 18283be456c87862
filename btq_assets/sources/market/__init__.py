"""Bars: the packaged sample, an inbox folder, and Yahoo Finance."""
