"""Bars of a minute into bars of five, fifteen, sixty, or a session.

Belongs here: which bars make a longer one, when it has ended, and whether there can be any. Does
not belong here: Dagster, and where bars come from.

A longer bar starts at the session's open (or, outside sessions and in markets that never close, at
the clock) and never reaches over the close. It is there once something later has been seen, or its
last bar ends with it: an unfinished bar is absent. A missing value leaves the value missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig

#: Bar length in minutes, shortest first; each is made of the one before.
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "1d": 1440}

INTRADAY = ("1m", "5m", "15m", "1h")

_MINUTE_US = 60_000_000
_NEVER = np.iinfo(np.int64).min
_VALUES = ("open", "high", "low", "close", "volume")
_COLUMNS = (
    "universe", "symbol", "ts", "known_at", "revised_at", "open", "high", "low", "close", "volume",
    "n_bars",
)  # fmt: skip


def serves_intraday(config: TradingConfig) -> bool:
    """Whether any source that is switched on has bars shorter than a day."""
    synthetic = config.sources.synthetic
    if synthetic.enabled and synthetic.bars:
        return True
    on = [section for _, section in config.sources if getattr(section, "enabled", False)]
    lengths = [(*getattr(section, "freqs", ()), getattr(section, "freq", "1d")) for section in on]
    return any(freq in INTRADAY for freqs in lengths for freq in freqs)


@dataclass(frozen=True)
class Sessions:
    """When an exchange is open.

    Parameters
    ----------
    opens, closes
        Microseconds since 1970, UTC; shape ``(sessions,)``, ascending and not overlapping.
    """

    opens: np.ndarray
    closes: np.ndarray


def sessions_of(calendar: str, first: date, last: date) -> Sessions | None:
    """Sessions of an ``exchange_calendars`` calendar; ``None`` for one that never closes."""
    if calendar == "24/7":
        return None
    import exchange_calendars

    margin = timedelta(days=7)
    found = exchange_calendars.get_calendar(
        calendar, start=str(first - margin), end=str(last + margin)
    )
    opens, closes = (
        found.schedule[name].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[us]")
        for name in ("open", "close")
    )
    return Sessions(opens.astype(np.int64), closes.astype(np.int64))


def resample(bars: pl.DataFrame, freq: str, sessions: Sessions | None = None) -> pl.DataFrame:
    """Longer bars out of shorter ones; see `resample_all`."""
    return resample_all(bars, (freq,), sessions)[freq]


def timeframes(bars: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Bars of a minute to an hour: as they came where they came, else made of shorter ones.

    Parameters
    ----------
    bars
        Rows of ``core.bars_intraday``.

    Returns
    -------
    dict
        Length → rows in the columns of ``core.bars_1m``, sorted by its key.
    """
    key = ["universe", "symbol", "ts"]
    counted = bars.with_columns(n_bars=pl.lit(1, dtype=pl.Int64)).sort(key)
    found: dict[str, list[pl.DataFrame]] = {freq: [] for freq in INTRADAY}
    for (calendar,), rows in counted.group_by("calendar", maintain_order=True):
        days = rows["ts"].dt.date()
        sessions = sessions_of(str(calendar), days.min(), days.max())  # type: ignore[arg-type]
        last_seen = rows.group_by("universe", "symbol").agg(pl.col("ts").max())
        shorter = rows.clear().select(_COLUMNS)
        for freq in INTRADAY:
            came = rows.filter(freq=freq).select(_COLUMNS)
            made = resample_all(shorter, (freq,), sessions, last_seen)[freq]
            shorter = pl.concat([came, made.join(came, on=key, how="anti")]).sort(key)
            found[freq].append(shorter)
    empty = counted.clear().select(_COLUMNS)
    return {freq: pl.concat([empty, *parts]).sort(key) for freq, parts in found.items()}


def resample_all(
    bars: pl.DataFrame,
    freqs: Sequence[str],
    sessions: Sessions | None = None,
    last_seen: pl.DataFrame | None = None,
) -> dict[str, pl.DataFrame]:
    """Bars of each length in `freqs`, ascending, each made of the one before.

    Parameters
    ----------
    bars
        ``universe``, ``symbol``, ``ts`` (end of bar), ``known_at``, ``revised_at``, prices,
        ``volume`` and ``n_bars``, sorted by universe, symbol and ts.
    freqs
        Lengths to make, keys of ``MINUTES``.
    sessions
        When the exchange is open; ``None`` for a market that never closes.
    last_seen
        ``universe``, ``symbol`` and the last ``ts`` of any bar, which tells what has ended; by
        default that of `bars`.

    Returns
    -------
    dict
        Length → bars in the same columns. A bar is known when it has ended and all its parts are
        known.
    """
    if bars.is_empty():
        return {freq: bars.select(_COLUMNS) for freq in freqs}
    names = bars.select("universe", "symbol")
    changes = names.select(
        pl.any_horizontal((pl.all() != pl.all().shift(1)).fill_null(True))
    ).to_series()
    series = np.cumsum(changes.to_numpy()) - 1
    first_rows = np.flatnonzero(changes.to_numpy())
    names = names[first_rows]
    times = {name: _microseconds(bars[name], _NEVER) for name in ("ts", "known_at", "revised_at")}
    values = {name: bars[name].fill_null(np.nan).to_numpy() for name in _VALUES}
    shorter = _Arrays(series=series, n_bars=bars["n_bars"].to_numpy(), **times, **values)
    if last_seen is None:
        seen = shorter.ts[np.append(first_rows[1:], series.size) - 1]
    else:
        known = names.join(last_seen, on=["universe", "symbol"], how="left", maintain_order="left")
        seen = _microseconds(known["ts"], _NEVER)
    made = {}
    for freq in freqs:
        shorter = _longer(shorter, MINUTES[freq] * _MINUTE_US, sessions, seen)
        made[freq] = shorter.frame(names)
    return made


@dataclass(frozen=True)
class _Arrays:
    """Columns of bars; `series` numbers the instruments, missing values are NaN."""

    series: np.ndarray
    ts: np.ndarray
    known_at: np.ndarray
    revised_at: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    volume: np.ndarray
    n_bars: np.ndarray

    def frame(self, names: pl.DataFrame) -> pl.DataFrame:
        stamp = pl.Datetime("us", "UTC")
        return (
            names[self.series]
            .with_columns(
                pl.Series("ts", self.ts).cast(stamp),
                pl.Series("known_at", self.known_at).cast(stamp),
                pl.Series("revised_at", self.revised_at).replace(_NEVER, None).cast(stamp),
                *(
                    pl.Series(name, getattr(self, name), dtype=pl.Float64, nan_to_null=True)
                    for name in _VALUES
                ),
                pl.Series("n_bars", self.n_bars, dtype=pl.Int64),
            )
            .select(_COLUMNS)
        )


def _longer(
    bars: _Arrays, length: int, sessions: Sessions | None, last_seen: np.ndarray
) -> _Arrays:
    ends = _bucket_ends(bars.ts, length, sessions)
    first = np.empty(ends.size, dtype=bool)
    first[:1] = True
    np.not_equal(ends[1:], ends[:-1], out=first[1:])
    first[1:] |= bars.series[1:] != bars.series[:-1]
    starts = np.flatnonzero(first)
    lasts = np.append(starts[1:], ends.size) - 1
    if not starts.size:
        return bars
    ended = ends[starts] <= last_seen[bars.series[starts]]
    made = _Arrays(
        bars.series[starts],
        ends[starts],
        np.maximum(np.maximum.reduceat(bars.known_at, starts), ends[starts]),
        np.maximum.reduceat(bars.revised_at, starts),
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[lasts],
        np.add.reduceat(bars.volume, starts),
        np.add.reduceat(bars.n_bars, starts),
    )
    if ended.all():
        return made
    return _Arrays(*(getattr(made, field.name)[ended] for field in fields(made)))


def _bucket_ends(ts: np.ndarray, length: int, sessions: Sessions | None) -> np.ndarray:
    """End of the longer bar that a bar ending at `ts` belongs to, microseconds."""
    ends = -(-ts // length) * length
    if sessions is None or not sessions.closes.size:
        return ends
    place = np.minimum(np.searchsorted(sessions.closes, ts), sessions.closes.size - 1)
    opens, closes = sessions.opens[place], sessions.closes[place]
    inside = (ts > opens) & (ts <= closes)
    anchored = np.minimum(opens - (-(ts - opens) // length) * length, closes)
    # A bar outside the session must not run into it.
    before = ~inside & (ts <= opens)
    return np.where(inside, anchored, np.where(before, np.minimum(ends, opens), ends))


def _microseconds(column: pl.Series, missing: int) -> np.ndarray:
    return column.cast(pl.Int64).fill_null(missing).to_numpy()
