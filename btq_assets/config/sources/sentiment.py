"""Settings of the sources of documents."""

from __future__ import annotations
