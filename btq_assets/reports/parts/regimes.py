"""Market states over time."""

from __future__ import annotations

import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import Block, Cell, Head, Line, LineChart, Row, Section, Table

_STATES = ("calm", "turbulent")
_TRENDS = ("bull", "sideways", "bear")


def section(frames: ReportFrames, context: ReportContext) -> Section | None:
    """Filtered probabilities of the turbulent state, and how much time each state took."""
    states = frames["states"].filter(pl.col("scope") == context.config.universe.main).sort("ts")
    if states["ts"].n_unique() < 2:
        return None
    weekly = (
        states.group_by_dynamic("ts", every="1w")
        .agg(pl.col("p_turbulent").last(), last=pl.col("ts").last())
        .with_columns(day=pl.col("last").dt.date())
    )
    last = states.row(-1, named=True)
    blocks: tuple[Block, ...] = (
        LineChart(
            "regimes",
            "Probability of the turbulent state",
            weekly["day"].to_list(),
            (Line("turbulent", weekly["p_turbulent"].to_numpy()),),
            unit="percent",
            filled=True,
            note="Filtered, never smoothed: each value uses only what was known at its date, with "
            "parameters fitted on earlier bars.",
            source=context.source("states"),
        ),
        _shares(states, context),
    )
    return Section(
        "regimes",
        "Regimes",
        blocks,
        f"On {fmt.day(last['ts'])} the state was {last['state']} (turbulent with probability "
        f"{fmt.percent(last['p_turbulent'], 0)}), the trend {last['trend']}.",
    )


def _shares(states: pl.DataFrame, context: ReportContext) -> Table:
    heads = (
        Head("State", numeric=False),
        *(Head(trend, "Share of all sessions; trend over 12 months") for trend in _TRENDS),
        Head("all trends"),
        Head("Volatility", "Annualised volatility of the state, median of the fits in force"),
    )
    rows = []
    for state in _STATES:
        own = states.filter(pl.col("state") == state)
        shares = [own.filter(pl.col("trend") == trend).height for trend in _TRENDS]
        volatility = states[f"{state}_volatility_annual"].median()
        rows.append(
            Row(
                (
                    Cell(state),
                    *(Cell(fmt.percent(n / states.height)) for n in (*shares, own.height)),
                    Cell(fmt.percent(volatility)),  # type: ignore[arg-type]
                )
            )
        )
    return Table(
        heads, tuple(rows), "Time spent in each state", source=context.source("states")
    )  # fmt: skip
