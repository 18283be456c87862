"""Every proposal for all raw bars, as the table ``quality.repairs``.

Belongs here: the order detectors run in, and which proposals the configuration applies. Does not belong here: detection (`faults`, `splits`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from btq_assets.contracts.quality import REPAIRED_COLUMNS, REPAIRS
from btq_assets.sources.repairs.faults import Fault, bad_ticks, unit_errors
from btq_assets.sources.repairs.series import SERIES, observed
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
    latest = observed(bars)
    events = latest_actions(actions)
    faults = [
        *unit_errors(latest),
        *split_faults(latest, events),
        *dividend_faults(latest, events),
        *bad_ticks(latest),
    ]
    rows = _rows(faults, latest)
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
