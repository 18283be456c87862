"""Tables of market states: what holds today, how much time each took, what broke.

Belongs here: the tables of the section on regimes. Does not belong here: its charts (`regimes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import ReportContext, ReportFrames
from btq_assets.reports.view import MISSING, Cell, Head, Row, Table

_STATES = ("calm", "turbulent")
_TRENDS = ("bull", "sideways", "bear")
_NAMED = ("bull", "sideways", "volatile", "bear")
_REGIMES = (*_NAMED, "crisis")
_SCOPED = (
    "states", "market_states", "hidden_states", "volatility_states", "change_points",
    "stress_index", "correlation_breaks", "regime_parameters",
)  # fmt: skip


def of_scope(frames: ReportFrames, universe: str) -> dict[str, pl.DataFrame]:
    """Tables of the regimes room for one universe, ascending in time."""
    return {name: frames[name].filter(pl.col("scope") == universe).sort("ts") for name in _SCOPED}


def today(scoped: dict[str, pl.DataFrame], context: ReportContext) -> Table | None:
    """What each model said at its last session."""
    rows = [row for row in _newest(scoped) if row is not None]
    if not rows:
        return None
    heads = (
        Head("Model", numeric=False),
        Head("At"),
        Head("State", numeric=False),
        Head("Says", numeric=False),
        Head("Fitted until", "Last bar the parameters in force had seen"),
    )
    have = [name for name in _SCOPED if scoped[name].height]
    return Table(heads, tuple(rows), "What holds now", source=context.source(*have))


def _newest(scoped: dict[str, pl.DataFrame]) -> Iterator[Row | None]:
    yield _named("Named states", scoped["market_states"])
    yield _named("Several inputs", scoped["hidden_states"])
    yield _of(
        "Two variances",
        scoped["states"],
        lambda r: (
            r["state"],
            f"turbulent {fmt.percent(r['p_turbulent'], 0)}, trend {r['trend']}",
        ),
    )
    yield _of(
        "GARCH volatility",
        scoped["volatility_states"],
        lambda r: (
            r["state"] or MISSING,
            f"{fmt.percent(r['volatility_forecast_annual'])} a year expected; low below "
            f"{fmt.percent(r['low_threshold_annual'])}, high above "
            f"{fmt.percent(r['high_threshold_annual'])}",
        ),
    )
    yield _of(
        "Stress index",
        scoped["stress_index"].drop_nulls("stress_index"),
        lambda r: (
            "crisis" if r["is_crisis"] else "no crisis",
            f"{fmt.number(r['stress_index'])} deviations, of {r['n_components']} components",
        ),
    )
    changes = scoped["change_points"]
    declared = changes.filter("is_change").tail(1).to_dicts()
    yield _of(
        "Change points",
        changes,
        lambda r: (
            "changed lately" if r["p_recent_change"] > 0.5 else "no recent change",
            f"recent change {fmt.percent(r['p_recent_change'], 0)}"
            + (f"; last declared {fmt.day(declared[0]['ts'])}" if declared else ""),
        ),
    )
    yield _of(
        "In force",
        scoped["regime_parameters"],
        lambda r: (r["regime"], f"since {fmt.whole(r['sessions_in_regime'])} sessions"),
    )


def _named(model: str, states: pl.DataFrame) -> Row | None:
    def say(row: dict[str, Any]) -> tuple[str, str]:
        known = [(name, row[f"p_{name}"]) for name in _NAMED if row[f"p_{name}"] is not None]
        ordered = sorted(known, key=lambda pair: -pair[1])
        said = ", ".join(f"{name} {fmt.percent(p, 0)}" for name, p in ordered)
        return row["state"] or MISSING, said or "no fit in force"

    return _of(model, states, say)


def _of(model: str, table: pl.DataFrame, say: Any) -> Row | None:
    if table.is_empty():
        return None
    row = table.row(-1, named=True)
    state, said = say(row)
    fitted = row.get("fitted_until")
    return Row(
        (
            Cell(model),
            Cell(fmt.day(row["ts"])),
            Cell(state),
            Cell(said),
            Cell(
                fmt.day(fitted),
                detail="" if row.get("converged", True) else "latest fit failed",
            ),
        )
    )


def over_time(scoped: dict[str, pl.DataFrame], context: ReportContext) -> Iterator[Table | None]:
    """Time spent, parameters by regime, breaks of correlations."""
    yield _parameters(scoped["regime_parameters"], context)
    yield _moments(scoped["market_states"], context)
    yield _shares(scoped["states"], context)
    yield _breaks(scoped["correlation_breaks"], context)


def _parameters(rows: pl.DataFrame, context: ReportContext) -> Table | None:
    if rows.is_empty():
        return None
    spells = rows.with_columns(spell=pl.col("regime").rle_id())
    found = {
        row["regime"]: row
        for row in spells.group_by("regime")
        .agg(
            n=pl.len(),
            spells=pl.col("spell").n_unique(),
            last=pl.col("ts").max(),
            exposure=pl.col("exposure_multiplier").last(),
            position=pl.col("max_position").last(),
            threshold=pl.col("rebalance_threshold").last(),
        )
        .iter_rows(named=True)
    }
    heads = (
        Head("Regime in force", numeric=False),
        Head("Share of time"),
        Head("Spells", "Stretches without interruption"),
        Head("Mean length", "Sessions"),
        Head("Last"),
        Head("Exposure", "Factor on the exposure a strategy would take"),
        Head("Largest position", "Share of equity in one asset"),
        Head("Trade from", "Smallest change of a weight worth trading"),
    )
    table = tuple(
        Row(
            (
                Cell(name),
                Cell(fmt.percent(row["n"] / rows.height)),
                Cell(fmt.whole(row["spells"])),
                Cell(fmt.whole(row["n"] / row["spells"])),
                Cell(fmt.day(row["last"])),
                Cell(fmt.number(row["exposure"])),
                Cell(fmt.percent(row["position"], 0)),
                Cell(fmt.percent(row["threshold"], 1)),
            )
        )
        for name in _REGIMES
        if (row := found.get(name))
    )
    return Table(
        heads,
        table,
        "Parameters by regime",
        notes=("Parameters are settings (regimes.parameters), not estimates.",),
        source=context.source("regime_parameters"),
    )


def _moments(states: pl.DataFrame, context: ReportContext) -> Table | None:
    known = states.drop_nulls("state")
    if known.is_empty():
        return None
    found = {
        row["state"]: row
        for row in known.group_by("state")
        .agg(
            n=pl.len(),
            mean=pl.col("state_mean_annual").median(),
            volatility=pl.col("state_volatility_annual").median(),
            converged=pl.col("converged").mean(),
        )
        .iter_rows(named=True)
    }
    heads = (
        Head("Likeliest state", numeric=False),
        Head("Share of time"),
        Head("Mean", "Log return a year of the state, median of the fits in force"),
        Head("Volatility", "Annualised, median of the fits in force"),
        Head("Fit usable", "Share of its sessions at which the latest scheduled fit was usable"),
    )
    rows = tuple(
        Row(
            (
                Cell(name),
                Cell(fmt.percent(row["n"] / known.height)),
                Cell(fmt.percent(row["mean"])),
                Cell(fmt.percent(row["volatility"])),
                Cell(fmt.percent(row["converged"], 0)),
            )
        )
        for name in _NAMED
        if (row := found.get(name))
    )
    matched = states["matched_share"].drop_nulls().mean()
    notes: tuple[str, ...] = (
        "Names are relative to the fit's window: a bear state need not lose money.",
    )
    if matched is not None:
        notes += (
            f"Sessions that keep their name under the next fit: {fmt.percent(matched, 0)}.",  # type: ignore[arg-type]
        )
    return Table(heads, rows, "Named states", notes=notes, source=context.source("market_states"))


def _shares(states: pl.DataFrame, context: ReportContext) -> Table | None:
    if states.is_empty():
        return None
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
    return Table(heads, tuple(rows), "Two variance states", source=context.source("states"))


def _breaks(tests: pl.DataFrame, context: ReportContext) -> Table | None:
    if tests.is_empty():
        return None
    settings = context.config.regimes.correlation_breaks
    heads = (
        Head("Break at", "Last session of the earlier window", numeric=False),
        Head("Seen at", "Session of the first test that rejected"),
        Head("P-value", f"Of the configured test, {settings.test.replace('_', ' and ')}"),
        Head("Before", "Mean correlation of all pairs in the earlier window"),
        Head("After", "The same in the later window"),
        Head("Largest change of a pair", numeric=False),
    )
    rows = tuple(
        Row(
            (
                Cell(fmt.day(row["boundary"])),
                Cell(fmt.day(row["ts"])),
                Cell(fmt.probability(row["p_value"])),
                Cell(fmt.number(row["correlation_before"])),
                Cell(fmt.number(row["correlation_after"])),
                Cell(f"{row['symbol_a']} and {row['symbol_b']}"),
            )
        )
        for row in tests.filter("is_break").iter_rows(named=True)
    )
    note = (
        f"{fmt.whole(tests.height)} tests at a significance of {settings.significance:g}; windows "
        "overlap, so neighbouring p-values are not independent and no correction is made for "
        "their number."
    )
    caption = "Breaks of correlations" if rows else "Breaks of correlations: none was found"
    return Table(
        heads, rows, caption, notes=(note,), source=context.source("correlation_breaks")
    )  # fmt: skip
