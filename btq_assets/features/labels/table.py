"""All kinds of labels of a universe as rows of ``features.labels``.

Belongs here: which labels there are under a configuration, and putting them into one table. Does
not belong here: how a label is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets import timeline
from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.features import technical
from btq_assets.features.definitions import HISTORY, KEY, prepare
from btq_assets.features.labels import weights
from btq_assets.features.labels.barriers import daily_volatility, meta_labels, triple_barrier
from btq_assets.features.labels.paths import (
    UNFINISHED,
    Floats,
    Outcome,
    Paths,
    known_when,
    paths_of,
)
from btq_assets.features.labels.trends import trend_scanning
from btq_assets.features.windows import panels

#: Feature whose sign is the side of the meta labels.
SIDE = "momentum_12_1"


@dataclass(frozen=True)
class Kind:
    """One kind of label: its name, the longest path it may read, what it found, and its side."""

    name: str
    horizon: int
    outcome: Outcome
    side: Floats | None = None


def labels(bars: pl.DataFrame, config: TradingConfig | None = None) -> pl.DataFrame:
    """Rows of ``features.labels`` for the main universe.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    config
        Horizons, barriers and the sessions that are labelled.

    Returns
    -------
    polars.DataFrame
        One row per symbol, labelled session and kind, sorted by key; null where the label has not
        ended within `bars`.
    """
    config = config or TradingConfig()
    mine = bars.filter(
        (pl.col("universe") == config.universe.main)
        & pl.col("adj_close").is_finite()
        & (pl.col("adj_close") > 0)
    )
    if mine.is_empty():
        return contracts.LABELS.empty()
    paths = paths_of(mine)
    chosen = np.ones(paths.ts.len(), dtype=bool)
    if config.features.labels.at == "decisions":
        decisions = timeline.decision_times(mine["ts"], config.models.decision_every)
        chosen = paths.ts.is_in(decisions.implode()).to_numpy()
    frames = [_rows(paths, kind, chosen) for kind in kinds(mine, paths, config)]
    return pl.concat(frames).sort(contracts.LABELS.key)


def kinds(bars: pl.DataFrame, paths: Paths, config: TradingConfig) -> Iterator[Kind]:
    """Every kind of label under a configuration, at all sessions of one universe."""
    settings = config.features.labels
    for horizon in settings.horizons_sessions:
        yield Kind(f"forward_return_{horizon}", horizon, forward(bars, horizon))
    volatility = daily_volatility(bars, settings.volatility_span_sessions)

    def barriers(side: Floats | None = None) -> Outcome:
        return triple_barrier(
            paths,
            volatility,
            sessions=settings.barrier_sessions,
            profit=settings.profit_multiple,
            stop=settings.stop_multiple,
            touch=settings.touch,
            side=side,
        )

    yield Kind("triple_barrier", settings.barrier_sessions, barriers())
    shortest, longest = settings.trend_sessions
    yield Kind("trend_scanning", longest, trend_scanning(paths, shortest=shortest, longest=longest))
    side = momentum_side(bars)
    yield Kind("meta_momentum", settings.barrier_sessions, meta_labels(barriers(side), side), side)


def forward(bars: pl.DataFrame, horizon: int) -> Outcome:
    """`timeline.forward_returns` of one universe as matrices."""
    frame = timeline.forward_returns(bars, horizon)
    (panel,) = panels(frame, "label")
    value = panel.values
    known = np.isfinite(value)
    place = np.arange(value.shape[0])[:, None]
    end = np.where(known, place + timeline.FILL_LAG_SESSIONS + horizon, UNFINISHED)
    span = np.where(known, horizon, UNFINISHED)
    return Outcome(value, end, span, value, np.full(value.shape, np.nan))


def momentum_side(bars: pl.DataFrame) -> Floats:
    """1 where `SIDE` is above 0, -1 where below, NaN where unknown or 0; ``(T, N)``."""
    expression = next(f.expression for f in technical.FEATURES if f.name == SIDE)
    assert expression is not None
    frame = prepare(bars).select(*KEY, _side=expression.over(HISTORY).sign())
    (panel,) = panels(frame, "_side")
    return np.where(panel.values == 0, np.nan, panel.values)


def _rows(paths: Paths, kind: Kind, chosen: np.ndarray) -> pl.DataFrame:
    """Rows of one kind at the chosen sessions at which a symbol has a bar."""
    outcome = kind.outcome
    lag = timeline.FILL_LAG_SESSIONS
    unique, attributed = _weights(paths, kind, chosen)
    session, symbol = np.nonzero(chosen[:, None] & np.isfinite(paths.close))
    at = (session, symbol)
    last = paths.ts.len() - 1
    start = np.where(session + lag <= last, session + lag, UNFINISHED)
    known = known_when(paths, outcome.end)[at]
    n = session.size
    stamps = paths.ts.dtype
    side = np.full(n, np.nan) if kind.side is None else kind.side[at]
    frame = pl.DataFrame(
        {
            "symbol": np.array(paths.symbols, dtype=object)[symbol].tolist(),
            "ts": paths.ts.gather(session),
            "value": outcome.value[at],
            "side": side,
            "path_return": outcome.path_return[at],
            "t_value": outcome.t_value[at],
            "span_sessions": outcome.span[at],
            "_start": start,
            "_end": outcome.end[at],
            "_known": known,
            "average_uniqueness": unique[at],
            "return_attribution": attributed[at],
        },
        schema_overrides={"symbol": pl.String},
    )
    sessions = paths.ts

    def stamp(column: str) -> pl.Series:
        place = frame[column]
        return sessions.gather(place.clip(0)).zip_with(
            place >= 0, pl.Series([None] * n, dtype=stamps)
        )

    return frame.with_columns(
        universe=pl.lit(paths.universe),
        label=pl.lit(kind.name),
        horizon_sessions=pl.lit(kind.horizon, pl.Int64),
        span_sessions=pl.when(pl.col("span_sessions") >= 0).then("span_sessions"),
        label_start_ts=stamp("_start"),
        label_end_ts=stamp("_end"),
        known_at=pl.when(pl.col("_end") >= 0).then(
            pl.from_epoch("_known", time_unit="us").dt.replace_time_zone("UTC")
        ),
    ).select(
        pl.col(c.name).fill_nan(None) if c.is_float else pl.col(c.name)
        for c in contracts.LABELS.columns
    )


def _weights(paths: Paths, kind: Kind, chosen: np.ndarray) -> tuple[Floats, Floats]:
    """Uniqueness and attribution of every label of one kind, symbol by symbol."""
    lag = timeline.FILL_LAG_SESSIONS
    unique = np.full(paths.close.shape, np.nan)
    attributed = np.full(paths.close.shape, np.nan)
    for number in range(len(paths.symbols)):
        close = paths.close[:, number]
        taken = chosen[:-lag] & np.isfinite(close[:-lag]) & np.isfinite(close[lag:])
        if kind.side is not None:
            taken &= np.isfinite(kind.side[:-lag, number])
        events = np.flatnonzero(taken)
        found = weights.weigh(
            events + lag, kind.outcome.end[events, number], kind.horizon, _log_returns(close)
        )
        unique[events, number], attributed[events, number] = found
    return unique, attributed


def _log_returns(close: Floats) -> Floats:
    """Log return since the symbol's last bar, 0 where there is none."""
    found = np.zeros(close.size)
    there = np.flatnonzero(np.isfinite(close))
    found[there[1:]] = np.diff(np.log(close[there]))
    return found
