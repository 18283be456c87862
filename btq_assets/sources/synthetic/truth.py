"""What was planted: one table of what, where, when and how large.

Belongs here: rows of ``raw.synthetic_truth`` out of a specification. Does not belong here: planting,
and looking for what was planted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from btq_assets.contracts import raw
from btq_assets.sources.synthetic.market import SyntheticMarket
from btq_assets.sources.synthetic.news import first_minutes
from btq_assets.sources.synthetic.options import Surface
from btq_assets.sources.synthetic.spec import DATASET, MINUTES_PER_SESSION, MarketSpec

_BARS = raw.BARS_SYNTHETIC.table
_NEWS = raw.DOCUMENTS_SYNTHETIC.table
_OPTIONS = raw.OPTION_QUOTES_SYNTHETIC.table

#: Fault → the unit of its size, and the size itself.
_FAULT_SIZES = {
    "hundredfold": ("times the true price", pl.col("planted_value") / pl.col("true_value")),
    "zero": ("times the true price", pl.col("planted_value") / pl.col("true_value")),
    "duplicate": (
        "part of the true price by which the copy differs",
        pl.col("planted_value") / pl.col("true_value") - 1,
    ),
    "out_of_order": ("bars that came before it", pl.lit(1.0)),
    "clock_skew": ("seconds late", pl.col("planted_value") - pl.col("true_value")),
    "missed_split": ("shares after for one before", None),
}


def truth(
    market: SyntheticMarket,
    *,
    bars: bool = True,
    news: bool = True,
    option_sessions: Sequence[int] = (),
) -> pl.DataFrame:
    """Rows of ``raw.synthetic_truth``.

    Parameters
    ----------
    market
        The market.
    bars, news
        Whether bars and headlines are generated: what is in no table is not listed.
    option_sessions
        Numbers of the sessions at whose close options are quoted.
    """
    rows = [
        *_edge(market.spec),
        *_regime(market.spec),
        *_news(market),
        *_surface(market.spec, option_sessions),
    ]
    planted = pl.DataFrame(rows, schema=raw.SYNTHETIC_TRUTH.schema, orient="row")
    absent = [table for table, there in ((_BARS, bars), (_NEWS, news)) if not there]
    return (
        pl.concat([planted, _outages(market), _faults(market)])
        .filter(~pl.col("table_name").is_in(absent))
        .sort(raw.SYNTHETIC_TRUTH.key)
    )


def _row(plant: str, table: str, symbol: str, span: tuple[datetime, datetime], item: str,
         size: float, unit: str) -> dict[str, Any]:  # fmt: skip
    return {
        "dataset": DATASET, "plant": plant, "table_name": table, "symbol": symbol,
        "from_ts": span[0], "to_ts": span[1], "item": item, "size": float(size), "unit": unit,
        "true_value": None, "planted_value": None,
    }  # fmt: skip


def _span(spec: MarketSpec, session: int = 0) -> tuple[datetime, datetime]:
    """First bar of a session, last bar of the market."""
    ends = spec.bar_ends()
    return _stamp(ends[session * MINUTES_PER_SESSION]), _stamp(ends[-1])


def _stamp(microseconds: int) -> datetime:
    return datetime.fromtimestamp(int(microseconds) / 1e6, UTC)


def _edge(spec: MarketSpec) -> list[dict[str, Any]]:
    edge = spec.plants.edge
    if edge is None:
        return []
    leader = spec.symbols[0]
    followers = spec.symbols[1:] if edge.via == "leader" else spec.symbols
    item = f"close of {leader}" if edge.via == "leader" else "signal"
    unit = "correlation of its standardised return with the follower's in the next minute"
    return [
        _row("edge", _BARS, symbol, _span(spec), item, edge.correlation, unit)
        for symbol in followers
    ]


def _regime(spec: MarketSpec) -> list[dict[str, Any]]:
    change = spec.plants.regime
    if change is None:
        return []
    span = _span(spec, change.session)
    return [
        _row(*fact)
        for symbol in spec.symbols
        for fact in (
            ("regime_volatility", _BARS, symbol, span, "close", change.volatility_factor,
             "times the volatility before"),
            ("regime_correlation", _BARS, symbol, span, "close", change.correlation,
             "correlation of standardised returns with any other symbol"),
        )
    ]  # fmt: skip


def _news(market: SyntheticMarket) -> list[dict[str, Any]]:
    """Tone of every headline; the drift of those that move a price."""
    planted, ends = market.spec.plants.news, market.spec.bar_ends()
    names = market.news.select("symbol", "known_at", "doc_id", "tone")
    firsts = first_minutes(market.spec, market.news)
    rows = []
    for (symbol, known_at, document, tone), first in zip(names.iter_rows(), firsts, strict=True):
        rows.append(
            _row("news_tone", _NEWS, symbol, (known_at, known_at), document, tone, "-1, 0 or 1")
        )
        if planted is None or not tone or first == ends.size:
            continue
        last = min(first + planted.minutes, ends.size) - 1
        size = tone * planted.total_bps * (last + 1 - first) / planted.minutes
        span = (_stamp(ends[first]), _stamp(ends[last]))
        rows.append(
            _row("news_drift", _BARS, symbol, span, document, size, "basis points of log return")
        )
    return rows


def _surface(spec: MarketSpec, sessions: Sequence[int]) -> list[dict[str, Any]]:
    if not sessions:
        return []
    surface = Surface(long_run=spec.annual_volatility)
    ends = spec.bar_ends()
    span = tuple(
        _stamp(ends[(session + 1) * MINUTES_PER_SESSION - 1])
        for session in (sessions[0], sessions[-1])
    )
    parameters = (
        ("skew", surface.skew, "rho of SSVI"),
        ("smile", surface.smile, "eta of SSVI"),
        ("long_run", surface.long_run, "annual volatility"),
        ("half_life", surface.half_life_years, "years"),
    )
    return [
        _row("option_surface", _OPTIONS, symbol, (span[0], span[1]), name, value, unit)
        for symbol in spec.symbols
        for name, value, unit in parameters
    ]


def _outages(market: SyntheticMarket) -> pl.DataFrame:
    """One row per symbol and silence: minutes that follow one another are one."""
    lost = market.faults.filter(fault="outage").sort("symbol", "ts")
    begins = (pl.col("ts").diff() != pl.duration(minutes=1)).fill_null(True).over("symbol")
    found = (
        lost.with_columns(_run=begins.cum_sum().over("symbol"))
        .group_by("symbol", "_run", maintain_order=True)
        .agg(from_ts=pl.col("ts").min(), to_ts=pl.col("ts").max(), size=pl.len().cast(pl.Float64))
    )
    return _frame(
        found, "outage", item=pl.lit("all columns"), unit=pl.lit("bars that never came"),
        true_value=pl.lit(None, pl.Float64), planted_value=pl.lit(None, pl.Float64),
    )  # fmt: skip


def _faults(market: SyntheticMarket) -> pl.DataFrame:
    spec = market.spec
    parts = [raw.SYNTHETIC_TRUTH.empty()]
    for fault, (unit, size) in _FAULT_SIZES.items():
        hit = market.faults.filter(fault=fault)
        if fault == "missed_split":
            split = spec.plants.missed_split
            ratio = pl.lit(float(split.ratio) if split is not None else None, pl.Float64)
            found = hit.with_columns(
                from_ts=pl.col("ts"), to_ts=pl.lit(_span(spec)[1], pl.Datetime("us", "UTC")),
                size=ratio,
            )  # fmt: skip
        else:
            found = hit.with_columns(from_ts=pl.col("ts"), to_ts=pl.col("ts"), size=size)
        parts.append(_frame(found, fault, item=pl.col("column"), unit=pl.lit(unit)))
    return pl.concat(parts)


def _frame(found: pl.DataFrame, plant: str, **columns: pl.Expr) -> pl.DataFrame:
    return found.with_columns(
        dataset=pl.lit(DATASET), plant=pl.lit(plant), table_name=pl.lit(_BARS), **columns
    ).select(raw.SYNTHETIC_TRUTH.column_names)
