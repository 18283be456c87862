"""Checks of the target tables: limits, completeness, and that inputs matter.

Belongs here: what a table of target weights must satisfy before it is committed. Does not belong
here: what a limit is, and making weights obey them (`risk.limits`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, CheckSpec
from btq_assets.risk.limits import exceeds
from btq_assets.timeline import truncate

#: Slack for rounding.
WEIGHT_TOLERANCE = 1e-9
#: Decisions at which the not-hollow checks perturb an input.
NOT_HOLLOW_DECISIONS = 3

#: ``recompute(inputs, config, since)``: the table, from decisions at or after `since`.
RecomputeSince = Callable[[Mapping[str, pl.DataFrame], TradingConfig, datetime], pl.DataFrame]


def limits_check(*, once: tuple[str, ...] = ()) -> CheckGroup:
    """Blocking checks ``limits`` and ``complete_cross_section`` of a targets table.

    Parameters
    ----------
    once
        Strategies that decide once and never again, such as buy and hold.
    """
    specs = (
        CheckSpec("limits", "Each |weight| and each sum of |weights| is within its limit."),
        CheckSpec(
            "complete_cross_section",
            "At each decision every strategy has a weight for every symbol seen by then, and all "
            "strategies decide on the same dates.",
        ),
    )

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        frame = context.frame
        yield _limits(frame, context.config)
        yield _complete(frame, context.inputs["bars"], once)

    return CheckGroup(specs, run)


def _limits(frame: pl.DataFrame, config: Any) -> CheckOutcome:
    position, gross = config.trading.max_position_size, config.portfolio.max_gross_exposure
    sums = frame.group_by("strategy", "ts").agg(gross=pl.col("weight").abs().sum())
    largest = float(frame["weight"].abs().max() or 0.0)  # type: ignore[arg-type]
    largest_gross = float(sums["gross"].max() or 0.0)  # type: ignore[arg-type]
    over = frame.filter(exceeds(pl.col("weight").abs(), position))
    over_gross = sums.filter(exceeds(pl.col("gross"), gross))
    wrong = [
        *(f"weight {r['weight']:.6g} of {r['symbol']} ({r['strategy']}, {r['ts']}) exceeds "
          f"trading.max_position_size = {position:g}" for r in over.head(1).iter_rows(named=True)),
        *(f"gross {r['gross']:.6g} of {r['strategy']} at {r['ts']} exceeds "
          f"portfolio.max_gross_exposure = {gross:g}"
          for r in over_gross.sort("strategy", "ts").head(1).iter_rows(named=True)),
    ]  # fmt: skip
    return CheckOutcome(
        "limits",
        not wrong,
        "; ".join(wrong) or f"largest weight {largest:.4g}, largest gross {largest_gross:.4g}",
        {"largest_weight": largest, "largest_gross": largest_gross},
    )


def _complete(frame: pl.DataFrame, bars: pl.DataFrame, once: tuple[str, ...]) -> CheckOutcome:
    name = "complete_cross_section"
    listed = bars.group_by("universe", "symbol").agg(first_known=pl.col("known_at").min())
    cells = frame.select("strategy", "universe", "ts").unique()
    wanted = cells.join(listed, on="universe").filter(pl.col("first_known") <= pl.col("ts"))
    key = ["strategy", "universe", "symbol", "ts"]
    missing = wanted.join(frame, on=key, how="anti").sort(key)
    unknown = frame.join(wanted, on=key, how="anti").sort(key)
    for label, found in (("no weight for", missing), ("a weight for unknown", unknown)):
        if not found.is_empty():
            row = found.row(0, named=True)
            where = f"{row['symbol']} in {row['strategy']} at {row['ts']}"
            return CheckOutcome(name, False, f"{label} {where} ({found.height} cell(s))")
    counts = cells.filter(~pl.col("strategy").is_in(once)).group_by("ts").agg(n=pl.len()).sort("ts")
    n_strategies = frame.filter(~pl.col("strategy").is_in(once))["strategy"].n_unique()
    uneven = counts.filter(pl.col("n") != n_strategies)
    if not uneven.is_empty():
        n, ts = uneven.row(0, named=True)["n"], uneven["ts"][0]
        return CheckOutcome(name, False, f"{n} of {n_strategies} strategies decide at {ts}")
    return CheckOutcome(
        name, True, f"{n_strategies} strategies, {counts.height} decisions, all symbols",
        {"n_strategies": n_strategies, "n_decisions": counts.height},
    )  # fmt: skip


def forecast_matters_check(
    recompute: RecomputeSince,
    models: tuple[str, ...],
    *,
    may_ignore: Callable[[TradingConfig], bool] = lambda config: False,
) -> CheckGroup:
    """Blocking check ``not_hollow``: a forecast turned over lowers that asset's weight.

    At spread-out decisions, the asset with the largest positive weight has all its forecasts
    lowered below those of every other asset (negated, and at least the negative of the largest),
    and each strategy's weight of it must fall.

    Parameters
    ----------
    recompute
        The step's own computation.
    models
        Input names that hold forecasts.
    may_ignore
        Whether, under a configuration, weights may ignore a forecast (no tilt asked for, or a
        calibration that found nothing to believe). The message then names the strategies that
        did so throughout.
    """
    spec = CheckSpec("not_hollow", "Turning an asset's forecasts over lowers its weight.")

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        before = context.frame
        falls: dict[str, list[float]] = {}
        for ts in spread_times(before, NOT_HOLLOW_DECISIONS):
            inputs = {name: known_at(frame, ts) for name, frame in context.inputs.items()}
            for strategy, symbol, weight in _largest_positions(before, ts).iter_rows():
                turned = {
                    name: turn_over(frame, symbol, ts) if name in models else frame
                    for name, frame in inputs.items()
                }
                again = _weight(recompute(turned, context.config, ts), strategy, symbol, ts)
                falls.setdefault(strategy, []).append(weight - again)
        yield _fall_outcome(falls, may_ignore(context.config))

    return CheckGroup((spec,), run)


def _fall_outcome(falls: Mapping[str, list[float]], may_ignore: bool) -> CheckOutcome:
    name = "not_hollow"
    rose = {s: min(v) for s, v in falls.items() if min(v) < -WEIGHT_TOLERANCE}
    inert = sorted(s for s, v in falls.items() if max(v) <= WEIGHT_TOLERANCE)
    lazy = sorted(s for s, v in falls.items() if min(v) <= WEIGHT_TOLERANCE)
    numbers = {f"smallest_fall_{s}": float(min(v)) for s, v in falls.items()}
    if not falls:
        return CheckOutcome(name, False, "no strategy holds anything at the decisions examined")
    if rose:
        return CheckOutcome(
            name, False, f"weights rose when forecasts were lowered: {rose}", numbers
        )
    if lazy and not may_ignore:
        return CheckOutcome(
            name, False, f"forecasts do not move the weights of {lazy}; the edge is hollow", numbers
        )
    note = f"; no effect, as the configuration or calibration allows, in {inert}" if inert else ""
    return CheckOutcome(
        name, True, f"weights fell in {len(falls) - len(inert)} strategies{note}", numbers
    )


def returns_matter_check(recompute: RecomputeSince, expected: Mapping[str, str]) -> CheckGroup:
    """Blocking check ``not_hollow``: an asset made three times as volatile, or a loser, loses weight.

    Parameters
    ----------
    recompute
        The step's own computation.
    expected
        Strategy → ``"volatility"`` (the daily log returns of its largest holding are tripled) or
        ``"trend"`` (the price history of its largest holding is run backwards).
    """
    spec = CheckSpec(
        "not_hollow", "Perturbing the past returns of an asset lowers its weight as expected."
    )

    def run(context: CheckContext) -> Iterable[CheckOutcome]:
        falls: dict[str, list[float]] = {}
        for ts in spread_times(context.frame, NOT_HOLLOW_DECISIONS):
            inputs = {name: known_at(frame, ts) for name, frame in context.inputs.items()}
            for strategy, symbol, weight in _largest_positions(context.frame, ts).iter_rows():
                if strategy not in expected:
                    continue
                bars = perturb_history(inputs["bars"], symbol, expected[strategy])
                table = recompute({**inputs, "bars": bars}, context.config, ts)
                falls.setdefault(strategy, []).append(weight - _weight(table, strategy, symbol, ts))
        yield _fall_outcome(falls, may_ignore=False)

    return CheckGroup((spec,), run)


def perturb_history(bars: pl.DataFrame, symbol: str, kind: str) -> pl.DataFrame:
    """Bars with one symbol's ``adj_close`` history perturbed; ends at the same price."""
    own = bars.filter(pl.col("symbol") == symbol).sort("universe", "ts")
    logs = pl.col("adj_close").log()
    last = logs.last().over("universe")
    if kind == "volatility":
        perturbed = (last + 3.0 * (logs - last)).exp()
    elif kind == "trend":
        # Negated log returns: every rise becomes as large a fall.
        perturbed = (last - (logs - last)).exp()
    else:
        raise ValueError(f"perturbation {kind!r} is not known; volatility or trend")
    others = bars.filter(pl.col("symbol") != symbol)
    return pl.concat([others, own.with_columns(adj_close=perturbed)]).sort(
        "universe", "symbol", "ts"
    )


def turn_over(forecasts: pl.DataFrame, symbol: str, ts: datetime) -> pl.DataFrame:
    """Forecasts with those of `symbol` at `ts` put below all others of the same cross-section."""
    here = (pl.col("ts") == ts) & (pl.col("symbol") == symbol)
    largest = pl.col("forecast").abs().max().over("universe", "ts", "variant", "seed")
    return forecasts.with_columns(
        forecast=pl.when(here).then(-1.001 * largest - 1e-12).otherwise(pl.col("forecast"))
    )


def spread_times(frame: pl.DataFrame, n: int) -> list[datetime]:
    """`n` decisions evenly spread over the table, the last one included."""
    times = frame["ts"].unique().sort()
    return [times[(times.len() * (k + 1)) // n - 1] for k in range(min(n, times.len()))]


def known_at(frame: pl.DataFrame, ts: datetime) -> pl.DataFrame:
    """Rows known at `ts`; a table without a time column whole."""
    column = next((name for name in ("known_at", "ts") if name in frame.columns), None)
    return frame if column is None else truncate(frame, ts, column)


def _largest_positions(frame: pl.DataFrame, ts: datetime) -> pl.DataFrame:
    return (
        frame.filter((pl.col("ts") == ts) & (pl.col("weight") > WEIGHT_TOLERANCE))
        .sort("strategy", pl.col("weight"), "symbol", descending=[False, True, False])
        .group_by("strategy", maintain_order=True)
        .first()
        .select("strategy", "symbol", "weight")
    )


def _weight(table: pl.DataFrame, strategy: str, symbol: str, ts: datetime) -> float:
    return table.filter(
        (pl.col("strategy") == strategy) & (pl.col("symbol") == symbol) & (pl.col("ts") == ts)
    )["weight"].item()
