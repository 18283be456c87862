"""Raw tables of the generated market: they say SYNTHETIC wherever they are described."""

from __future__ import annotations

import dataclasses

from btq_assets.contracts.raw.market import bars_contract

# Generated, not observed: another seed replaces the bars, so that the table is a function of the
# configuration and not of earlier runs.
BARS_SYNTHETIC = dataclasses.replace(
    bars_contract(
        "synthetic",
        "SYNTHETIC one-minute bars of a generated market with known truth; faults may be planted.",
    ),
    append_only=False,
)
