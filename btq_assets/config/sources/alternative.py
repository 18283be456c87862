"""Settings of the sources of option quotes, off-exchange volume and on-chain metrics."""

from __future__ import annotations
