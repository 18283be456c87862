"""Markets as one stream of events on one clock.

Belongs here: bars of panels and frames, quotes, trades and currency rates brought into one order,
with the session each belongs to. Does not belong here: orders, calendars themselves (`timeline`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from btq_assets.engine.codes import FLAG_SESSION_CLOSE, FLAG_SESSION_OPEN, EventKind
from btq_assets.engine.errors import EngineError

DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class MarketStream:
    """Events sorted by time; at one time currency rates come first, then assets in turn.

    Attributes
    ----------
    time, start : int64[E]
        End of the bar (time of the tick), and its beginning; nanoseconds since 1970 UTC where
        interest, borrow fees or tiers are charged by date.
    asset : int32[E]
        Column; of a currency rate the number of the currency.
    kind, flags : int8[E]
        `EventKind`; session opens, closes, trading halted.
    session : int32[E]
        Trading day of the asset, >= 0.
    open, high, low, close, volume : float64[E]
        A bar. A trade has its price in all four. A quote has bid and ask in `open` and `high`,
        their sizes in `low` and `close`. NaN where unknown; a bar without a close trades nothing.
    half_spread, volatility, daily_volume : float64[E] or float64[0]
        Fraction of value; daily, fraction; shares a day.
    symbols : tuple of str
    currency_rates : float64[K]
        Value of one unit of each currency in that of the account before the first event; the first
        is 1, unknown ones NaN.
    snapshots : int64[S]
        Times at which books are recorded, unless the simulation is given others.
    """

    time: np.ndarray
    start: np.ndarray
    asset: np.ndarray
    kind: np.ndarray
    flags: np.ndarray
    session: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    symbols: tuple[str, ...]
    snapshots: np.ndarray
    half_spread: np.ndarray = field(default_factory=lambda: np.empty(0))
    volatility: np.ndarray = field(default_factory=lambda: np.empty(0))
    daily_volume: np.ndarray = field(default_factory=lambda: np.empty(0))
    currency_rates: np.ndarray = field(default_factory=lambda: np.ones(1))

    def __len__(self) -> int:
        return self.time.size


def stream_from_panels(
    time: Any,
    close: np.ndarray,
    *,
    open: np.ndarray | None = None,  # noqa: A002 - the name of the price
    high: np.ndarray | None = None,
    low: np.ndarray | None = None,
    volume: np.ndarray | None = None,
    session: Any = None,
    start: Any = None,
    halted: np.ndarray | None = None,
    half_spread: np.ndarray | None = None,
    volatility: np.ndarray | None = None,
    daily_volume: np.ndarray | None = None,
    symbols: Sequence[str] | None = None,
) -> MarketStream:
    """Bars of one clock: row ``t`` is the bar ``(start[t], time[t]]`` of every asset.

    Parameters
    ----------
    time
        ``int64[T]`` (or datetime64), rising.
    close, open, high, low, volume
        ``float64[T, N]``; NaN where an asset has no bar. Missing prices default to the close.
    session
        ``int[T]``, trading day of each row; default: each row is a day of its own.
    start
        ``int64[T]``; default: the row before.
    halted
        ``bool[T, N]``: prices are seen, nothing trades.
    half_spread, volatility, daily_volume
        ``float64[T]`` or ``float64[T, N]``.

    Raises
    ------
    EngineError
        Shapes differ, times do not rise, a price is not positive, or a bar contradicts itself.
    """
    close = np.ascontiguousarray(close, dtype=np.float64)
    if close.ndim != 2 or close.size == 0:
        raise EngineError(f"close has shape {close.shape}; it must be [bars, assets]")
    n_bars, n_assets = close.shape
    times = nanoseconds(time)
    if times.shape != (n_bars,) or np.any(np.diff(times) <= 0):
        raise EngineError(f"time must have {n_bars} rising values, one per bar")
    panels: dict[str, np.ndarray] = {"close": close}
    given = {"open": open, "high": high, "low": low, "volume": volume}
    given |= {"half_spread": half_spread, "volatility": volatility, "daily_volume": daily_volume}
    for name, panel in given.items():
        if panel is None:
            continue
        values = np.asarray(panel, dtype=np.float64)
        if values.shape == (n_bars,):
            values = np.repeat(values[:, None], n_assets, axis=1)
        if values.shape != close.shape:
            raise EngineError(f"{name} has shape {values.shape}; close has {close.shape}")
        panels[name] = np.ascontiguousarray(values)
    for name in ("open", "high", "low"):
        panels.setdefault(name, close)
    if volume is None:
        panels["volume"] = np.full(close.shape, np.nan)
    _check_bars(panels)
    days = np.arange(n_bars) if session is None else np.asarray(session)
    if days.shape != (n_bars,) or np.any(np.diff(days) < 0) or days[0] < 0:
        raise EngineError("session must be one number >= 0 per bar, not falling")
    changes = np.flatnonzero(np.diff(days)) + 1
    row_flags = np.zeros(n_bars, dtype=np.int8)
    row_flags[np.r_[0, changes]] |= FLAG_SESSION_OPEN
    row_flags[np.r_[changes - 1, n_bars - 1]] |= FLAG_SESSION_CLOSE
    flags = np.repeat(row_flags, n_assets)
    if halted is not None:
        flags |= (np.asarray(halted, dtype=bool).reshape(-1) * 4).astype(np.int8)
    if start is None:
        step = int(np.median(np.diff(times))) if n_bars > 1 else 1
        starts = np.r_[times[0] - step, times[:-1]]
    else:
        starts = nanoseconds(start)
        if starts.shape != (n_bars,) or np.any(starts >= times):
            raise EngineError("start must be one time per bar, before its end")
    return MarketStream(
        time=np.repeat(times, n_assets),
        start=np.repeat(starts, n_assets),
        asset=np.tile(np.arange(n_assets, dtype=np.int32), n_bars),
        kind=np.full(n_bars * n_assets, EventKind.BAR, dtype=np.int8),
        flags=flags,
        session=np.repeat(days.astype(np.int32), n_assets),
        symbols=tuple(symbols or (f"asset_{i}" for i in range(n_assets))),
        snapshots=times,
        **{name: panel.reshape(-1) for name, panel in panels.items()},
    )


def nanoseconds(values: Any) -> np.ndarray:
    """Times as ``int64``; dates and datetimes become nanoseconds since 1970."""
    array = np.asarray(values)
    if array.dtype.kind == "M":
        array = array.astype("datetime64[ns]")
    return np.ascontiguousarray(array, dtype=np.int64)


def _check_bars(columns: Mapping[str, np.ndarray]) -> None:
    """Prices are positive, highs and lows enclose the others, volumes are not negative."""
    open_, high, low, close = (columns[name] for name in ("open", "high", "low", "close"))
    distinct: dict[int, tuple[str, np.ndarray]] = {}
    for name in ("close", "open", "high", "low"):
        distinct.setdefault(id(columns[name]), (name, columns[name]))
    for name, prices in distinct.values():
        bad = np.flatnonzero((prices <= 0).ravel() | np.isinf(prices).ravel())
        if bad.size:
            raise EngineError(
                f"{name} of event {bad[0]} is {prices.ravel()[bad[0]]:g}: prices must be positive, "
                "or NaN if missing"
            )
    if len(distinct) > 1:
        inside = (high < np.fmax(open_, close)) | (low > np.fmin(open_, close))
        bad = np.flatnonzero(inside.ravel())
        if bad.size:
            raise EngineError(
                f"bar {bad[0]}: high and low do not enclose open and close; repair the bar first"
            )
    if np.any(columns["volume"] < 0):
        raise EngineError("volume is negative somewhere: it must be >= 0, or NaN if unknown")


def stream_from_bars(
    bars: pl.DataFrame,
    *,
    symbols: Sequence[str] | None = None,
    zones: str | Mapping[str, str] = "UTC",
    currency_rates: Sequence[float] = (1.0,),
) -> MarketStream:
    """Bars of several calendars and zones on one clock.

    Parameters
    ----------
    bars
        ``symbol``, ``ts`` (end of the bar, zoned datetime), ``open``, ``high``, ``low``,
        ``close``, ``volume``; optionally ``start``, ``session`` (date), ``halted``,
        ``half_spread``, ``volatility``, ``daily_volume``. Without ``start`` a bar begins where the
        bar before it of the same symbol ended. Without ``session`` it belongs to the local date of
        its end.
    symbols
        Order of the assets; default: sorted.
    zones
        Time zone of the exchange, one or by symbol.
    currency_rates
        See `MarketStream`.

    Raises
    ------
    EngineError
        A symbol is not among `symbols`, times have no zone, a bar appears twice, or prices are
        impossible.
    """
    names = tuple(symbols or sorted(bars["symbol"].unique().to_list()))
    unknown = sorted(set(bars["symbol"].unique().to_list()) - set(names))
    if unknown:
        raise EngineError(f"bars of unknown symbols {unknown[:5]}")
    if bars.schema["ts"].time_zone is None:  # type: ignore[attr-defined]
        raise EngineError("ts has no time zone: say which one with dt.replace_time_zone")
    number = pl.DataFrame(
        {"symbol": names, "asset": np.arange(len(names), dtype=np.int32)},
    )
    frame = bars.join(number, on="symbol", how="left").sort("ts", "asset")
    if frame.select("ts", "asset").is_duplicated().any():
        raise EngineError("a symbol has two bars with the same end")
    if "session" not in frame.columns:
        local = [
            pl.when(pl.col("symbol") == name)
            .then(pl.col("ts").dt.convert_time_zone(zone).dt.date())
            .otherwise(None)
            for name, zone in (zones.items() if isinstance(zones, Mapping) else ())
        ]
        default = zones if isinstance(zones, str) else "UTC"
        frame = frame.with_columns(
            session=pl.coalesce(*local, pl.col("ts").dt.convert_time_zone(default).dt.date())
        )
    ends = pl.col("ts").dt.epoch("ns")
    before = ends.shift(1).over("asset")
    typical = (ends - before).median().over("asset").fill_null(float(DAY_NS)).cast(pl.Int64)
    frame = frame.with_columns(
        time=ends,
        begin=pl.col("start").dt.epoch("ns")
        if "start" in frame.columns
        else before.fill_null(ends - typical),
        opens=(pl.col("session") != pl.col("session").shift(1).over("asset")).fill_null(True),
        closes=(pl.col("session") != pl.col("session").shift(-1).over("asset")).fill_null(True),
    )
    flags = pl.col("opens").cast(pl.Int8) + 2 * pl.col("closes").cast(pl.Int8)
    if "halted" in frame.columns:
        flags = flags + 4 * pl.col("halted").fill_null(False).cast(pl.Int8)
    frame = frame.with_columns(flags=flags.cast(pl.Int8))
    columns = {
        name: float_column(frame, name) for name in ("open", "high", "low", "close", "volume")
    }
    _check_bars(columns)
    extra = {
        name: float_column(frame, name)
        for name in ("half_spread", "volatility", "daily_volume")
        if name in frame.columns
    }
    return MarketStream(
        time=frame["time"].to_numpy().astype(np.int64),
        start=frame["begin"].to_numpy().astype(np.int64),
        asset=frame["asset"].to_numpy().astype(np.int32),
        kind=np.zeros(frame.height, dtype=np.int8),
        flags=frame["flags"].to_numpy().astype(np.int8),
        session=frame["session"].cast(pl.Int32).to_numpy().astype(np.int32),
        symbols=names,
        snapshots=np.unique(frame["time"].to_numpy().astype(np.int64)),
        currency_rates=np.asarray(currency_rates, dtype=float),
        **columns,
        **extra,
    )


def float_column(frame: pl.DataFrame, name: str) -> np.ndarray:
    """A column as ``float64``, null as NaN."""
    return np.ascontiguousarray(
        frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64
    )
