"""Splits and dividends, as rows of the corporate-actions contract.

Belongs here: the one shape they are stored in. Does not belong here: asking for them, and
adjusting prices by them.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.vintages import ASSUMED_LAG

SPLIT = "split"
DIVIDEND = "dividend"


def to_actions(
    rows: pl.DataFrame,
    value: str,
    kind: Literal["split", "dividend"] | str,
    *,
    basis: Literal["as_traded", "split_adjusted"],
) -> pl.DataFrame:
    """Rows of ``raw.corporate_actions_*``.

    Both are announced days before, but no source here says when. What is certain is that everybody
    knew at the close of the ex-date, with the first bar that shows it: that is ``known_at``.

    Parameters
    ----------
    rows
        ``dataset``, ``symbol``, ``currency``, ``session`` (the ex-date) and ``ts`` (its close).
    value
        Column of the ratio or of the cash per share.
    kind
        What they are.
    basis
        Shares the cash is counted in; see the contract.
    """
    return rows.select(
        "dataset",
        "symbol",
        ex_date=pl.col("session"),
        kind=pl.lit(kind),
        known_at=pl.col("ts"),
        known_at_basis=pl.lit(ASSUMED_LAG),
        value=pl.col(value),
        currency=pl.col("currency"),
        basis=pl.lit(basis),
    ).select(raw.CORPORATE_ACTIONS_YAHOO.column_names)
