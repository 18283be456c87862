"""What a session's five-minute returns say of its variance: realised, bipower, jumps.

Belongs here: measures of one session from its intraday bars, and which bars belong to it. Does not
belong here: averages over sessions and forecasts (`realised_volatility`).
"""

from __future__ import annotations

import math

import polars as pl

from btq_assets.features.definitions import KEY, SYMBOL

#: Fewest returns a session needs, and the share of the usual number: half a day is a session.
MIN_RETURNS, MIN_SHARE = 6, 0.5
_USUAL_SESSIONS = 22

#: Quantile 0.999 of the standard normal: the ratio statistic above which a session has a jump.
JUMP_ABOVE = 3.090232306167813

_MEAN_ABSOLUTE = math.sqrt(2 / math.pi)
#: ``E |z|^(4/3)`` of a standard normal.
_MEAN_FOUR_THIRDS = 2 ** (2 / 3) * math.gamma(7 / 6) / math.gamma(1 / 2)
#: Asymptotic variance of the ratio statistic, Barndorff-Nielsen and Shephard (2006), eq. 9.
_RATIO_VARIANCE = math.pi**2 / 4 + math.pi - 5

_SESSION = (*SYMBOL, "_end")
COLUMNS = ("_n", "_rv", "_bv", "_z", "_jump_share", "_balance", "_gap_square")


def sessions(bars: pl.DataFrame, five_minutes: pl.DataFrame) -> pl.DataFrame:
    """Measures of the sessions that have enough returns.

    A session is what lies in the 24 hours up to its daily bar and after the bar before; only bars
    known at the daily bar count. Returns run from close to close, the first from its open.

    Parameters
    ----------
    bars
        Keys of daily bars, and ``_gap``, the log return from the last close to the open, where
        known.
    five_minutes
        Rows of `core.bars_5m`.

    Returns
    -------
    polars.DataFrame
        Key columns; ``_n`` returns; ``_rv`` and ``_bv``, realised and bipower variance; ``_z``, the
        ratio statistic; ``_jump_share``; ``_balance`` of semivariances; ``_gap_square``.
    """
    ends = bars.select(*SYMBOL, "ts", "_gap", _end="ts").sort("ts")
    kept = five_minutes.filter(pl.col("close").is_finite() & (pl.col("close") > 0)).select(
        *SYMBOL, "ts", "known_at", "open", "close"
    )
    placed = (
        kept.sort("ts")
        .join_asof(ends, on="ts", by=list(SYMBOL), strategy="forward", check_sortedness=False)
        .filter(
            pl.col("known_at") <= pl.col("_end"),
            pl.col("ts") > pl.col("_end") - pl.duration(days=1),
        )
        .sort(*SYMBOL, "ts")
    )
    before = pl.col("close").shift(1).over(_SESSION)
    start = pl.coalesce(before, pl.when(pl.col("open") > 0).then("open"))
    r, size = pl.col("_x"), pl.col("_x").abs()
    lagged = [size.shift(k).over(_SESSION) for k in (1, 2)]
    returns = (
        placed.with_columns(_x=(pl.col("close") / start).log())
        .filter(pl.col("_x").is_finite())
        .with_columns(
            _two=size * lagged[0],
            _three=(size * lagged[0] * lagged[1]).pow(4 / 3),
            _signed=r * size,
        )
    )
    n = pl.col("_n")
    measured = (
        returns.group_by(_SESSION, maintain_order=True)
        .agg(
            pl.len().cast(pl.Float64).alias("_n"),
            pl.col("_gap").first(),
            _rv=r.pow(2).sum(),
            _two=pl.col("_two").sum(),
            _three=pl.col("_three").sum(),
            _signed=pl.col("_signed").sum(),
        )
        .with_columns(_usual=n.rolling_median(_USUAL_SESSIONS, min_samples=1).over(SYMBOL))
        .filter(n >= MIN_RETURNS, n >= MIN_SHARE * pl.col("_usual"), pl.col("_rv") > 0)
        .with_columns(
            _bv=pl.col("_two") * n / (n - 1) / _MEAN_ABSOLUTE**2,
            _tq=pl.col("_three") * n * n / (n - 2) / _MEAN_FOUR_THIRDS**3,
        )
    )
    spread = (
        _RATIO_VARIANCE / n * (pl.col("_tq") / pl.col("_bv").pow(2)).clip(lower_bound=1)
    ).sqrt()
    share = 1 - pl.col("_bv") / pl.col("_rv")
    return (
        measured.with_columns(_z=pl.when(pl.col("_bv") > 0).then(share / spread))
        .with_columns(
            _jump_share=pl.when(pl.col("_z") > JUMP_ABOVE)
            .then(share)
            .when(pl.col("_z").is_not_null())
            .then(0.0),
            _balance=pl.col("_signed") / pl.col("_rv"),
            _gap_square=pl.col("_gap").pow(2),
        )
        .rename({"_end": "ts"})
        .select(*KEY, *COLUMNS)
    )
