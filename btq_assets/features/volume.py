"""Volume family: at which prices volume traded, its mean prices, and which way it flowed.

Belongs here: what one symbol's volume says, by session. Does not belong here: cost and impact
(`microstructure`), single quotes and trades (`tick_microstructure`). Symbols without open, high,
low, close and volume have no rows.

Volume is in adjusted shares (volume close / adj_close), so that a split changes nothing. Where bars
of five minutes were known at the session's end they say where in the session the volume traded;
what they do not account for, and all of it where there are none, is spread evenly over the
session's range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.features.volume import PROFILE_WINDOWS
from btq_assets.features.definitions import (
    CONSTANT_BELOW,
    HISTORY,
    KEY,
    OHLCV,
    SYMBOL,
    Feature,
    has_columns,
    is_whole_bar,
    prepare,
    undefined_to_null,
)

#: Bins of a profile; odd, so that one piece of volume has its middle in the middle of a bin.
N_BINS = 51
#: What a value area holds: one deviation of a normal distribution, by convention.
VALUE_AREA = 0.70

_ANCHOR_WINDOW, _FLOW, _MONEY = 63, 21, 14
_ADJUSTED = ("adj_open", "adj_high", "adj_low", "adj_close")
#: Part of a session's volume below which what bars of five minutes leave over is rounding.
_LEFT_OVER = 1e-6

_PIECES = ("adj_high", "adj_low", "adj_close", "close", "volume")
_TRADES = ("bought_volume", "volume of trades")


def _feature(
    name: str, formula: str, source: str, unit: str, lookback: int, needs: tuple[str, ...] = _PIECES
) -> Feature:
    return Feature(name, "volume", formula, source, unit, lookback, needs)


_TYPICAL = "x = (H + L + C) / 3"
_PROFILE_SOURCE = "Steidlmayer (1984), CBOT Market Profile"


def _profile_features(n: int) -> tuple[Feature, ...]:
    profile = (
        f"volume of {n} sessions in {N_BINS} bins from the lowest low to the highest high, each bar "
        "spread evenly over its range"
    )
    area = (
        f"value area: bins around the fullest, the fuller neighbour first (of equals the nearer), until "
        f"{VALUE_AREA:.0%} of the volume are in"
    )
    return (
        _feature(
            f"point_of_control_distance_{n}",
            f"C / P - 1, P the middle of the fullest bin (of equals that nearest to the mean); "
            f"{profile}",
            _PROFILE_SOURCE,
            "fraction",
            n - 1,
        ),
        _feature(
            f"value_area_high_distance_{n}",
            f"C / U - 1, U the upper end; {area}",
            _PROFILE_SOURCE,
            "fraction",
            n - 1,
        ),
        _feature(
            f"value_area_low_distance_{n}",
            f"C / D - 1, D the lower end; {area}",
            _PROFILE_SOURCE,
            "fraction",
            n - 1,
        ),
        _feature(
            f"value_area_width_{n}", f"(U - D) / C; {area}", _PROFILE_SOURCE, "fraction", n - 1
        ),
    )


FEATURES: tuple[Feature, ...] = (
    *(feature for n in PROFILE_WINDOWS for feature in _profile_features(n)),
    _feature(
        "vwap_distance_session",
        f"C sum(v) / sum(v x) - 1 over the session's bars of five minutes, else the session; {_TYPICAL}",
        "Berkowitz, Logue and Noser (1988)",
        "fraction",
        0,
    ),
    _feature(
        "vwap_distance_month",
        "the same over the sessions of the calendar month so far",
        "anchored VWAP, Shannon (2008)",
        "fraction",
        0,
    ),
    _feature(
        "vwap_distance_high_63",
        "the same from the session of the highest high of 63 on, the last of equals",
        "anchored VWAP, Shannon (2008)",
        "fraction",
        62,
    ),
    _feature(
        "vwap_distance_low_63",
        "the same from the session of the lowest low of 63 on, the last of equals",
        "anchored VWAP, Shannon (2008)",
        "fraction",
        62,
    ),
    _feature(
        "money_flow_index_14",
        f"100 sum14(v x [x > x[-1]]) / sum14(v x [x <> x[-1]]), {_TYPICAL}",
        "Quong and Soudack (1989)",
        "0 to 100",
        _MONEY,
    ),
    _feature(
        "chaikin_money_flow_21",
        "sum21(v (2C - H - L) / (H - L)) / sum21(v), 0 where H = L",
        "Chaikin money flow, in shares",
        "-1 to 1",
        _FLOW - 1,
    ),
    _feature(
        "on_balance_volume_change_21",
        "sum21(v sign(r)) / sum21(v)",
        "Granville (1963), change over 21 sessions as a share",
        "-1 to 1",
        _FLOW,
    ),
    _feature(
        "relative_volume_21",
        "v / mean21(v)[t-1], v adjusted shares",
        "own definition",
        "ratio",
        _FLOW,
    ),
    _feature(
        "order_flow_delta_1",
        "(2 B - Q) / Q, B units for which the buyer crossed the spread, Q all units of the session's "
        "minutes with trades",
        "own definition; volume delta",
        "-1 to 1",
        0,
        _TRADES,
    ),
    _feature(
        "order_flow_delta_5",
        "the same with sums over 5 sessions",
        "own definition; volume delta",
        "-1 to 1",
        4,
        _TRADES,
    ),
)


def compute(
    bars: pl.DataFrame,
    five_minutes: pl.DataFrame | None = None,
    trade_bars: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Compute the volume family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    five_minutes
        Rows of `core.bars_5m`, where there are any.
    trade_bars
        Rows of `core.trade_bars_1m`, where there are any; several datasets of a symbol add up.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.volume``: one per bar with open, high, low, close and volume, sorted by
        universe, symbol and time.
    """
    frame = has_columns(prepare(bars), (*OHLCV, *_ADJUSTED))
    rows = frame.filter(is_whole_bar()).with_columns(
        _row=pl.int_range(pl.len(), dtype=pl.Int64),
        _shares=pl.col("volume") * pl.col("close") / pl.col("adj_close"),
        _typical=(pl.col("adj_high") + pl.col("adj_low") + pl.col("adj_close")) / 3,
    )
    names = [feature.name for feature in FEATURES]
    if rows.is_empty():
        return rows.select(KEY).with_columns(pl.lit(None, pl.Float64).alias(n) for n in names)
    pieces = _pieces(rows, five_minutes)
    history = rows[HISTORY].to_numpy()
    begins = np.flatnonzero(np.append(True, np.diff(history) != 0))
    windows = _Windows(begins[np.searchsorted(begins, np.arange(rows.height), "right") - 1])
    with np.errstate(all="ignore"):
        values = (
            _profile_values(rows, pieces, windows)
            | _mean_prices(rows, pieces, windows)
            | _flows(rows, windows)
            | _deltas(rows, trade_bars, windows)
        )
    columns = [pl.Series(name, values[name], dtype=pl.Float64) for name in names]
    return undefined_to_null(rows.select(KEY).with_columns(columns))


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs.get("bars_5m"), inputs.get("trade_bars"))


@dataclass(frozen=True)
class _Windows:
    """First rows of windows; ``begins[t]`` is the first row of the symbol of row ``t``."""

    begins: np.ndarray

    def of(self, n: int, *, behind: int = 0) -> np.ndarray:
        """First row of the last `n` rows; -1 where there are not so many and `behind` more."""
        first = np.arange(self.begins.size) - n + 1
        return np.where(first - behind >= self.begins, first, -1)


@dataclass(frozen=True)
class _Pieces:
    """Volume and where it traded; those of row ``t`` are ``starts[t]`` to ``starts[t + 1] - 1``."""

    low: np.ndarray
    high: np.ndarray
    shares: np.ndarray
    value: np.ndarray
    starts: np.ndarray


def _placed(shorter: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Bars with the row of the session they are part of, if they were known at its end."""
    sessions = rows.select(
        *SYMBOL, "_row", _end="ts", _factor=pl.col("adj_close") / pl.col("close")
    )
    # Forward: which session a bar is part of is no matter of what was known.
    placed = shorter.sort("ts").join_asof(
        sessions.sort("_end"),
        left_on="ts",
        right_on="_end",
        by=list(SYMBOL),
        strategy="forward",
        check_sortedness=False,
    )
    return placed.filter(pl.col("known_at") <= pl.col("_end"))


def _pieces(rows: pl.DataFrame, five_minutes: pl.DataFrame | None) -> _Pieces:
    columns = ("_row", "low", "high", "shares", "value")
    parts = []
    left = pl.col("_shares")
    if five_minutes is not None and not five_minutes.is_empty():
        known = ("high", "low", "close", "volume")
        whole = five_minutes.filter(
            pl.all_horizontal(pl.col(known).is_finite()).fill_null(False), pl.col("low") > 0
        )
        placed = _placed(whole, rows).with_columns(shares=pl.col("volume") / pl.col("_factor"))
        typical = (pl.col("high") + pl.col("low") + pl.col("close")) / 3
        fine = placed.sort("_row", "ts").select(
            "_row",
            pl.col("low", "high") * pl.col("_factor"),
            "shares",
            value=pl.col("shares") * typical * pl.col("_factor"),
        )
        accounted = fine.group_by("_row").agg(_fine=pl.col("shares").sum())
        rows = rows.join(accounted, on="_row", how="left", maintain_order="left")
        rest = pl.col("_shares") - pl.col("_fine").fill_null(0.0)
        left = pl.when(rest > _LEFT_OVER * pl.col("_shares")).then(rest).otherwise(0.0)
        parts.append(fine)
    coarse = rows.select(
        "_row", low="adj_low", high="adj_high", shares=left, value=left * pl.col("_typical")
    )
    pieces = pl.concat([*parts, coarse]).sort("_row", maintain_order=True).select(columns)
    # Each row has its own coarse piece, so that none is without.
    starts = np.searchsorted(pieces["_row"].to_numpy(), np.arange(rows.height + 1))
    low, high, shares, value = (pieces[name].to_numpy(writable=True) for name in columns[1:])
    return _Pieces(low, high, shares, value, starts)


def _profile_values(
    rows: pl.DataFrame, pieces: _Pieces, windows: _Windows
) -> dict[str, np.ndarray]:
    from btq_assets.features.kernels import volume_profile

    close = rows["adj_close"].to_numpy()
    ends = pieces.starts[1:]
    found = {}
    for n in PROFILE_WINDOWS:
        first_row = windows.of(n)
        first = np.where(first_row >= 0, pieces.starts[first_row], ends)
        out = np.empty((rows.height, 3))
        volume_profile.profiles(
            pieces.low, pieces.high, pieces.shares, first, ends, N_BINS, VALUE_AREA, out
        )
        control, bottom, top = out.T
        found[f"point_of_control_distance_{n}"] = close / control - 1
        found[f"value_area_high_distance_{n}"] = close / top - 1
        found[f"value_area_low_distance_{n}"] = close / bottom - 1
        found[f"value_area_width_{n}"] = (top - bottom) / close
    return found


def _sums(x: np.ndarray, first: np.ndarray) -> np.ndarray:
    from btq_assets.features.kernels import volume_profile

    out = np.empty(x.size)
    volume_profile.sums(np.ascontiguousarray(x, np.float64), first, out)
    return out


def _mean_prices(rows: pl.DataFrame, pieces: _Pieces, windows: _Windows) -> dict[str, np.ndarray]:
    from btq_assets.features.kernels import volume_profile

    close = rows["adj_close"].to_numpy()
    shares, value = (np.add.reduceat(x, pieces.starts[:-1]) for x in (pieces.shares, pieces.value))
    month = rows["ts"].dt.truncate("1mo").cast(pl.Int64).to_numpy()
    begins = np.append(True, (np.diff(month) != 0) | (np.diff(windows.begins) != 0))
    month_starts = np.flatnonzero(begins)
    anchors = {
        "session": np.arange(close.size),
        "month": month_starts[np.cumsum(begins) - 1],
    }
    for name, sign in (("high", 1.0), ("low", -1.0)):
        out = np.empty(close.size, np.int64)
        extreme = rows[f"adj_{name}"].to_numpy(writable=True)
        volume_profile.last_extreme(extreme, windows.of(_ANCHOR_WINDOW), sign, out)
        anchors[f"{name}_{_ANCHOR_WINDOW}"] = out
    return {
        f"vwap_distance_{name}": close * _sums(shares, first) / _sums(value, first) - 1
        for name, first in anchors.items()
    }


def _flows(rows: pl.DataFrame, windows: _Windows) -> dict[str, np.ndarray]:
    shares, typical = rows["_shares"].to_numpy(), rows["_typical"].to_numpy()
    high, low, close = (rows[f"adj_{c}"].to_numpy() for c in ("high", "low", "close"))

    def direction(x: np.ndarray) -> np.ndarray:
        """Sign of the change; the first row of a symbol is in no window that reads it."""
        move = np.diff(x, prepend=x[:1]) / x
        return np.where(np.abs(move) > CONSTANT_BELOW, np.sign(move), 0.0)

    money = shares * typical
    moved = direction(typical)
    fortnight, month = windows.of(_MONEY, behind=1), windows.of(_FLOW)
    place = np.where(high > low, (2 * close - high - low) / (high - low), 0.0)
    total = _sums(shares, month)
    before = np.append(np.nan, total[:-1])
    return {
        "money_flow_index_14": 100
        * _sums(money * (moved > 0), fortnight)
        / _sums(money * np.abs(moved), fortnight),
        "chaikin_money_flow_21": _sums(shares * place, month) / total,
        "on_balance_volume_change_21": _sums(shares * direction(close), windows.of(_FLOW, behind=1))
        / total,
        "relative_volume_21": np.where(
            windows.of(_FLOW + 1) >= 0, shares / (before / _FLOW), np.nan
        ),
    }


def _deltas(
    rows: pl.DataFrame, trade_bars: pl.DataFrame | None, windows: _Windows
) -> dict[str, np.ndarray]:
    bought = units = np.full(rows.height, np.nan)
    if trade_bars is not None and not trade_bars.is_empty():
        said = trade_bars.filter(pl.col("bought_volume").is_not_null())
        placed = _placed(said, rows).sort("_row", "ts", "source", "dataset")
        by_session = placed.group_by("_row", maintain_order=True).agg(
            _bought=pl.col("bought_volume").sum(), _units=pl.col("volume").sum()
        )
        joined = rows.select("_row").join(by_session, on="_row", how="left", maintain_order="left")
        bought, units = (joined[c].fill_null(np.nan).to_numpy() for c in ("_bought", "_units"))
    return {
        f"order_flow_delta_{n}": (2 * _sums(bought, windows.of(n)) - _sums(units, windows.of(n)))
        / _sums(units, windows.of(n))
        for n in (1, 5)
    }
