"""A capacity that is not known is not invented, and the report says why; expected by hand."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
from report_frames import make_frames

from btq_assets.contracts import backtest
from btq_assets.reports.parts.performance import _capacity

WHY = "volume or volatility is unknown for 100.0% of the fills"


def with_capacity(frames, values):
    rows = [
        {"run_id": f"run-{name}", "strategy": name, "metric": "capacity", "value": value,
         "unit": "currency", "note": f"undefined for this run; {WHY}" if value is None else "",
         "ci_low": None, "ci_high": None}
        for name, value in values.items()
    ]  # fmt: skip
    more = pl.DataFrame(rows, schema=backtest.METRICS.schema)
    return replace(
        frames, tables={**frames.tables, "metrics": pl.concat([frames["metrics"], more])}
    )


def test_the_report_says_why_a_capacity_is_not_known():
    frames = make_frames()
    traded = [*frames.strategies("candidate"), *frames.strategies("baseline")]
    assert _capacity(frames) == []
    unknown = with_capacity(frames, dict.fromkeys(traded))
    assert _capacity(unknown) == [f"Capacity is not known for any strategy: {WHY}."]
    known = dict.fromkeys(traded, 1e8) | {traded[0]: None}
    assert _capacity(with_capacity(frames, known)) == [
        f"Capacity is not known for {traded[0]}: {WHY}."
    ]
    assert _capacity(with_capacity(frames, dict.fromkeys(traded, 1e8))) == []
