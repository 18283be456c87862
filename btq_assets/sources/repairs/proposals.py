"""Every proposal for all raw bars, as the table ``quality.repairs``.

Belongs here: the order detectors run in, and which proposals the configuration applies. Does not belong here: detection (`faults`, `splits`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import polars as pl

from btq_assets.contracts.quality import REPAIRED_COLUMNS, REPAIRS
from btq_assets.sources.repairs.faults import TICK_COLUMNS, Fault, bad_ticks, unit_errors
from btq_assets.sources.repairs.series import (
    SERIES,
    TOGETHER,
    market_moves,
    moves,
    no_market,
    observed,
)
from btq_assets.sources.repairs.splits import dividend_faults, latest_actions, split_faults


def propose(
    bars: Mapping[str, pl.DataFrame],
    actions: Mapping[str, pl.DataFrame],
    *,
    now: datetime,
    apply: Sequence[str] = (),
    min_confidence: float = 0.9,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Repairs of the latest vintage of every bar.

    Parameters
    ----------
    bars, actions
        Raw bars and corporate actions by table name.
    now
        Time of the proposal.
    apply, min_confidence
        Kinds that are applied, and the least confidence to do so.
    earlier
        The table as it stands: a proposal made before keeps its time.

    Returns
    -------
    polars.DataFrame
        Rows of ``quality.repairs``; empty where nothing looks wrong.
    """
    rows = _found(observed(bars), latest_actions(actions))
    return _as_proposed(rows, now, apply, min_confidence, earlier)


def propose_in_slices(
    slices: Callable[[], Iterator[Mapping[str, pl.DataFrame]]],
    actions: Mapping[str, pl.DataFrame],
    *,
    now: datetime,
    apply: Sequence[str] = (),
    min_confidence: float = 0.9,
    earlier: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The same of bars that do not fit in memory together.

    All a detector needs of other symbols is how they moved at the time. So slices are looked through
    as if nobody knew that; where something is found, it is gathered from all slices, for the times of
    large moves alone, and the slices in question are looked through again.

    Parameters
    ----------
    slices
        Raw bars by table name, all bars of some symbols at a time; called up to three times.
    actions, now, apply, min_confidence, earlier
        As for `propose`.
    """
    events = latest_actions(actions)
    suspect: list[int] = []
    large: dict[str, list[pl.DataFrame]] = {column: [] for column in _CROSS_SECTIONS}
    for number, tables in enumerate(slices()):
        latest = observed(tables)
        for column, times in large.items():
            times.append(_times_of_large_moves(latest, column))
        if _found(latest, events, _no_markets(latest)).height:
            suspect.append(number)
    parts = []
    if suspect:
        wanted = {column: pl.concat(times).unique() for column, times in large.items()}
        market = _markets(slices(), wanted)
        parts = [
            _found(observed(tables), events, market)
            for number, tables in enumerate(slices())
            if number in suspect
        ]
    rows = pl.concat(parts) if parts else _rows([], observed({}))
    return _as_proposed(rows, now, apply, min_confidence, earlier)


#: Columns whose moves are held against those of the others.
_CROSS_SECTIONS = ("price", *TICK_COLUMNS)

#: No detector asks how the others moved when a series itself moved by less.
_LARGE_MOVE = 0.09


def _times_of_large_moves(latest: pl.DataFrame, column: str) -> pl.DataFrame:
    """Cross-sections of large moves, and of the bar after each."""
    found = moves(latest, column, no_market(latest))
    is_large = pl.col("move").abs() > _LARGE_MOVE
    after = is_large.shift(1).over(SERIES)
    return found.filter(is_large | after).select(TOGETHER).unique()


def _markets(
    slices: Iterator[Mapping[str, pl.DataFrame]], wanted: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    """Moves of the market at some times, by column."""
    parts: dict[str, list[pl.DataFrame]] = {column: [] for column in wanted}
    for tables in slices:
        latest = observed(tables)
        for column, times in wanted.items():
            found = moves(latest, column, no_market(latest)).select(*TOGETHER, "move")
            parts[column].append(found.join(times, on=TOGETHER, how="semi"))
    return {column: market_moves(pl.concat(found)) for column, found in parts.items()}


def _no_markets(latest: pl.DataFrame) -> dict[str, pl.DataFrame]:
    return dict.fromkeys(_CROSS_SECTIONS, no_market(latest))


def _found(
    latest: pl.DataFrame,
    events: pl.DataFrame,
    market: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    faults = [
        *unit_errors(latest),
        *split_faults(latest, events, market),
        *dividend_faults(latest, events),
        *bad_ticks(latest, market),
    ]
    return _rows(faults, latest)


def _as_proposed(
    rows: pl.DataFrame,
    now: datetime,
    apply: Sequence[str],
    min_confidence: float,
    earlier: pl.DataFrame | None,
) -> pl.DataFrame:
    if rows.is_empty():
        return REPAIRS.empty()
    rows = rows.with_columns(
        applied=pl.col("kind").is_in(list(apply)) & (pl.col("confidence") >= min_confidence),
        proposed_at=pl.lit(now).cast(REPAIRS.schema["proposed_at"]),
    ).unique(list(REPAIRS.key), keep="first", maintain_order=True)
    if earlier is not None and earlier.height:
        same = [*REPAIRS.key, "to_ts", "factor"]
        rows = rows.join(
            earlier.select(*same, pl.col("proposed_at").alias("_first")),
            on=same,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        ).with_columns(proposed_at=pl.coalesce("_first", "proposed_at"))
    return rows.select(REPAIRS.column_names)


def _rows(faults: Sequence[Fault], latest: pl.DataFrame) -> pl.DataFrame:
    shown = {(fault.series, fault.shown_at): index for index, fault in enumerate(faults)}
    wanted = pl.DataFrame(
        [(*series, moment) for series, moment in shown],
        schema={name: latest.schema[name] for name in (*SERIES, "ts")},
        orient="row",
    )
    at = {
        ((row["source"], row["dataset"], row["symbol"], row["freq"]), row["ts"]): row
        for row in latest.join(wanted, on=[*SERIES, "ts"], how="semi").iter_rows(named=True)
    }
    affected = latest.join(wanted.select(SERIES).unique(), on=list(SERIES), how="semi")
    series = {
        tuple(part.row(0)[:4]): part
        for part in affected.select(*SERIES, "ts", *REPAIRED_COLUMNS).partition_by(
            SERIES, maintain_order=True
        )
    }
    rows = []
    for fault in faults:
        row = at[fault.series, fault.shown_at]
        before = row[fault.column]
        source, dataset, symbol, freq = fault.series
        part = series[fault.series]
        n_bars = part.filter(pl.col("ts").is_between(fault.from_ts, fault.to_ts))[
            fault.column
        ].count()
        rows.append(
            {
                "table_name": f"raw.bars_{source}",
                "key_json": json.dumps(
                    {
                        "dataset": dataset,
                        "symbol": symbol,
                        "freq": freq,
                        "ts": row["ts"].isoformat(),
                        "known_at": row["known_at"].isoformat(),
                    }
                ),
                "column_name": fault.column,
                "kind": fault.kind,
                "before": before,
                "after": None if fault.factor is None else before * fault.factor,
                "factor": fault.factor,
                "source": source,
                "dataset": dataset,
                "symbol": symbol,
                "freq": freq,
                "from_ts": fault.from_ts,
                "to_ts": fault.to_ts,
                "n_bars": n_bars,
                "confidence": fault.confidence,
                "evidence": fault.evidence,
                "evidence_known_at": fault.evidence_known_at,
            }
        )
    names = [name for name in REPAIRS.column_names if name not in ("proposed_at", "applied")]
    return pl.DataFrame(rows, schema={name: REPAIRS.schema[name] for name in names})
