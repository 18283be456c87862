"""Settings of the sources of macro series."""

from __future__ import annotations
