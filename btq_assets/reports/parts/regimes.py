"""Market states over time: which state when, how much stress, which correlations broke.

Belongs here: the charts, and the order of the section. Does not belong here: its tables
(`regime_tables.py`), any model of states (`btq_assets.regimes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl

from btq_assets.regimes.panel import panel_of
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.parts import regime_tables as tables
from btq_assets.reports.view import Band, Block, CellChart, Line, LineChart, Section

#: Colours of the named states; calm ones cool, wild ones warm.
COLOURS = {
    "bull": "#009E73",
    "sideways": "#8d8b85",
    "volatile": "#E69F00",
    "bear": "#D55E00",
    "crisis": "#CC0033",
}

_FILTERED = (
    "Filtered, never smoothed: each value uses only what was known at its date, with parameters "
    "fitted on earlier bars."
)


def section(frames: ReportFrames, context: ReportContext) -> Section | None:
    """What the models of market states say; ``None`` where there are no states at all."""
    scoped = tables.of_scope(frames, context.config.universe.main)
    if scoped["states"]["ts"].n_unique() < 2 and scoped["market_states"]["ts"].n_unique() < 2:
        return None
    blocks = (
        tables.today(scoped, context),
        *_charts(frames, scoped, context),
        *tables.over_time(scoped, context),
    )
    return Section(
        "regimes",
        "Regimes",
        tuple(block for block in blocks if block is not None),
        _lead(scoped),
    )


def _lead(scoped: dict[str, pl.DataFrame]) -> str:
    parts = []
    if scoped["market_states"].height:
        last = scoped["market_states"].row(-1, named=True)
        known = last["state"]
        parts.append(
            f"On {fmt.day(last['ts'])} the state was {known} "
            f"(probability {fmt.percent(last[f'p_{known}'], 0)})"
            if known
            else f"On {fmt.day(last['ts'])} no state was in force"
        )
    if scoped["states"].height:
        last = scoped["states"].row(-1, named=True)
        parts.append(
            f"the two-state model says {last['state']} (turbulent with probability "
            f"{fmt.percent(last['p_turbulent'], 0)}), the trend {last['trend']}"
        )
    text = "; ".join(parts) + "."
    return text[0].upper() + text[1:]


def _charts(
    frames: ReportFrames, scoped: dict[str, pl.DataFrame], context: ReportContext
) -> Iterator[Block]:
    timeline = _timeline(frames, scoped, context)
    for chart in (
        timeline,
        _stress(scoped["stress_index"], context),
        _named(scoped["market_states"], context),
        _turbulent(scoped["states"], context),
    ):
        if chart is not None:
            yield chart


def _timeline(
    frames: ReportFrames, scoped: dict[str, pl.DataFrame], context: ReportContext
) -> LineChart | None:
    """Price of the universe with the regime in force behind it, breaks of correlations marked."""
    regimes = scoped["regime_parameters"].select("ts", label="regime")
    source = "regime_parameters"
    if regimes.is_empty():
        regimes = scoped["market_states"].select("ts", label="state").drop_nulls()
        source = "market_states"
    panel = panel_of(frames["bars"], context.config.universe.main)
    if regimes.is_empty() or len(panel.ts) < 2:
        return None
    prices = pl.DataFrame({"ts": panel.ts, "level": np.exp(np.cumsum(panel.market))})
    weekly = _weekly(prices.filter(pl.col("ts") >= regimes["ts"][0]), "level")
    if weekly.height < 2:
        return None
    breaks = scoped["correlation_breaks"].filter("is_break").select("boundary")
    marked = breaks.sort("boundary").join_asof(
        prices, left_on="boundary", right_on="ts", strategy="backward"
    )
    marked = marked.filter(pl.col("boundary") >= regimes["ts"][0]).drop_nulls("level")
    points = {}
    if marked.height:
        label = f"correlations break ({marked.height})"
        points[label] = (marked["boundary"].dt.date().to_list(), marked["level"].to_numpy())
    return LineChart(
        "regime-timeline",
        f"{context.config.universe.main}, equal weights, and the regime in force",
        weekly["day"].to_list(),
        (Line("equal-weight index", weekly["level"].to_numpy(), ink=True),),
        unit="growth",
        log=True,
        points=points,
        bands=bands(regimes),
        note="Shaded: the named state that was in force at each session, with hysteresis; crisis "
        "goes before the others. Dots stand at the date a break of correlations is attributed to, "
        "which was seen later: the table below has both dates.",
        source=context.source("bars", source, "correlation_breaks"),
    )


def bands(labels: pl.DataFrame) -> tuple[Band, ...]:
    """Stretches of equal ``label`` over ascending ``ts``, one band a label, in the order of `COLOURS`.

    A stretch ends where the next begins, the last one a day after its last session.
    """
    days, names = labels["ts"].dt.date().to_list(), labels["label"].to_list()
    spans: dict[str, list[tuple[date, date]]] = {}
    start = 0
    for place in range(1, len(names) + 1):
        if place == len(names) or names[place] != names[start]:
            stop = days[place] if place < len(names) else days[-1] + timedelta(days=1)
            spans.setdefault(names[start], []).append((days[start], stop))
            start = place
    return tuple(
        Band(name, colour, tuple(spans[name])) for name, colour in COLOURS.items() if name in spans
    )


def _stress(index: pl.DataFrame, context: ReportContext) -> LineChart | None:
    known = index.drop_nulls("stress_index")
    if known["ts"].n_unique() < 2:
        return None
    weekly = _weekly(known, "stress_index")
    if weekly.height < 2:
        return None
    settings = context.config.regimes.stress
    flagged = known.select("ts", label=pl.when("is_crisis").then(pl.lit("crisis")))
    return LineChart(
        "stress",
        "Stress index",
        weekly["day"].to_list(),
        (
            Line("stress index", weekly["stress_index"].to_numpy()),
            Line(
                f"crisis on at {settings.crisis_enter:g}",
                np.full(weekly.height, settings.crisis_enter),
                emphasis=False,
                dashed=True,
            ),
            Line(
                f"off below {settings.crisis_exit:g}",
                np.full(weekly.height, settings.crisis_exit),
                emphasis=False,
                dashed=True,
            ),
        ),
        bands=bands(flagged),
        note="Weighted mean of volatility, credit spread, correlation, drawdown, turbulence and "
        "absorption ratio, each in deviations from its own past. Shaded: the crisis flag.",
        source=context.source("stress_index"),
    )


def _named(states: pl.DataFrame, context: ReportContext) -> CellChart | None:
    names = [name for name in COLOURS if f"p_{name}" in states.columns]
    names = [name for name in names if states[f"p_{name}"].drop_nulls().len()]
    monthly = (
        states.group_by_dynamic("ts", every="1mo")
        .agg(pl.col(f"p_{name}").mean() for name in names)
        .sort("ts")
        if names
        else states.clear()
    )
    if monthly.height < 2:
        return None
    return CellChart(
        "named-states",
        "Probabilities of the named states, monthly means",
        tuple(names),
        tuple(monthly["ts"].dt.strftime("%Y-%m")),
        monthly.select(f"p_{name}" for name in names).cast(pl.Float64).to_numpy().T,
        note=f"Markov switching in mean and variance. {_FILTERED} White throughout: the fit in "
        "force has no such state.",
        source=context.source("market_states"),
    )


def _turbulent(states: pl.DataFrame, context: ReportContext) -> LineChart | None:
    if states["ts"].n_unique() < 2:
        return None
    weekly = _weekly(states, "p_turbulent")
    return LineChart(
        "regimes",
        "Probability of the turbulent state",
        weekly["day"].to_list(),
        (Line("turbulent", weekly["p_turbulent"].to_numpy()),),
        unit="percent",
        filled=True,
        note=f"Two variance states, those that forecasts and targets read. {_FILTERED}",
        source=context.source("states"),
    )


def _weekly(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """``day`` and the columns at the last session of each week."""
    return (
        frame.sort("ts")
        .group_by_dynamic("ts", every="1w")
        .agg(pl.col(columns).last(), last=pl.col("ts").last())
        .with_columns(day=pl.col("last").dt.date())
    )
