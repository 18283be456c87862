"""The small universe of the unit tests, here too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "portfolio"))

from portfolio_case import case  # noqa: F401  (a fixture)
