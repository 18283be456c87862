"""The small universe of the portfolio tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from portfolio_case import case  # noqa: F401  (a fixture)
