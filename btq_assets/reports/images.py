"""The few PNG images that accompany a report in the asset's metadata."""

from __future__ import annotations

import polars as pl

from btq_assets import plots
from btq_assets.reports.frames import REFERENCE, ReportFrames, label
from btq_assets.reports.parts import performance, series


def images(frames: ReportFrames) -> dict[str, bytes]:
    """Equity, drawdown and VaR exceedances as PNG, by title."""
    points = series.weekly(frames["equity"])
    shown = [name for name, coloured in performance.chart_order(frames) if coloured]
    drawn = {}
    for title, column, unit, log in (
        ("Equity against benchmarks", "growth", "growth of 1", True),
        ("Drawdown", "drawdown", "fraction below the peak", False),
    ):
        days, values = series.columns_of(points, column, shown)
        drawn[title] = plots.lines(
            days, {label(name): values[name] for name in shown}, title, unit, log=log
        )
    tested = exceedances(frames)
    return drawn | ({"VaR exceedances": tested} if tested else {})


def exceedances(frames: ReportFrames) -> bytes | None:
    """Next-session returns of the leading candidate below its historical VaR."""
    name = frames.leader or REFERENCE
    values = frames["measures"].filter(
        (pl.col("strategy") == name)
        & (pl.col("measure") == "var")
        & (pl.col("method") == "historical")
        & pl.col("valid")
    )
    if values.is_empty():
        return None
    wide = values.with_columns(
        level="VaR " + (100 * pl.col("level")).round(1).cast(pl.String) + " %"
    )
    wide = wide.pivot(on="level", index="ts", values="value", sort_columns=True)
    returns = (
        frames["equity"]
        .filter(pl.col("strategy") == name)
        .sort("ts")
        .select("ts", returns=pl.col("net_return").shift(-1))
    )
    joined = wide.join(returns, on="ts", how="left").sort("ts")
    levels = [column for column in wide.columns if column != "ts"]
    return plots.lines(
        joined["ts"],
        {"next return": joined["returns"], **{level: -joined[level] for level in levels}},
        f"Next-session return of {label(name)} and historical VaR",
        "fraction of equity",
    )
