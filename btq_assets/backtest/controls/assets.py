"""The controls and the sensitivity surface in the asset graph; in jobs of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts import controls as contracts
from btq_assets.contracts import core, evidence
from btq_assets.contracts.checks import (
    CheckContext,
    CheckGroup,
    CheckOutcome,
    frame_check,
)
from btq_assets.warehouse import Step, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.backtest.controls.settings import ControlSettings

_CODE = (
    "btq_assets.backtest",
    "btq_assets.engine",
    "btq_assets.evidence",
    "btq_assets.models",
    "btq_assets.portfolio",
    "btq_assets.features.technical",
    "btq_assets.features.volatility",
    "btq_assets.contracts.controls",
)


def _nulls(context: CheckContext) -> CheckOutcome:
    from btq_assets.backtest.controls.answers import null_outcome

    return null_outcome(context.frame)


def _planted(context: CheckContext) -> CheckOutcome:
    from btq_assets.backtest.controls.answers import planted_outcome

    return planted_outcome(context.frame)


def _leak(context: CheckContext) -> CheckOutcome:
    from btq_assets.backtest.controls.answers import leak_outcome

    return leak_outcome(context.frame)


CONTROL_CHECKS: tuple[CheckGroup, ...] = (
    frame_check(
        "nulls_make_few_champions",
        "On markets without anything to find, each model makes at most as many champions as the "
        "binomial law allows at the 5 % level (17 of 200).",
        _nulls,
    ),
    frame_check(
        "planted_edges_are_found",
        "Each model finds the planted edge in at least 80 % of the markets, by the same thresholds.",
        _planted,
    ),
    frame_check(
        "a_leak_is_refused",
        "With tomorrow among the features, the first of these checks refuses each model.",
        _leak,
    ),
)


@table_asset(
    outputs=(contracts.CONTROLS,),
    inputs={"bars": core.BARS_1D},
    config=("backtest", "trading", "portfolio.max_gross_exposure", "universe"),
    code=_CODE,
    checks=CONTROL_CHECKS,
    group="controls",
)
def controls(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Ridge and LightGBM along the whole path on null markets, planted edges and leaks."""
    from btq_assets.backtest.controls.settings import MODELS, ControlSettings

    return _on_control_markets(step, bars, ControlSettings(), MODELS)


@table_asset(
    outputs=(contracts.CONTROLS_DEEP,),
    inputs={"bars": core.BARS_1D},
    config=("backtest", "trading", "portfolio.max_gross_exposure", "universe"),
    code=_CODE,
    checks=CONTROL_CHECKS,
    group="controls_deep",
)
def controls_deep(step: Step, bars: pl.DataFrame) -> TableOutput:
    """A small Transformer-GNN on the markets of the controls; as many as the configuration says."""
    from btq_assets.backtest.controls.settings import DEEP_MODELS, ControlSettings

    size = ControlSettings.of_size(step.config.backtest.deep_control_seeds)
    return _on_control_markets(step, bars, size, DEEP_MODELS)


def _on_control_markets(
    step: Step, bars: pl.DataFrame, settings: ControlSettings, models: tuple[str, ...]
) -> TableOutput:
    from btq_assets import plots
    from btq_assets.backtest.controls.answers import controls_table
    from btq_assets.backtest.controls.markets import ControlBase

    def told(control: str, seed: int, done: int, total: int) -> None:
        if done % 20 == 0 or done == total:
            step.log(f"controls: {done} of {total} markets, the last one {control} {seed}")

    base = ControlBase.from_bars(bars, step.config.universe.main, settings.n_sessions)
    table, trials = controls_table(
        base,
        step.config,
        settings,
        models=models,
        code_version=step.code_version,
        run_id=step.run_id,
        recorded_at=step.now,
        progress=told,
    )
    summary = (
        table.group_by("control", "model")
        .agg(
            pl.len().alias("markets"),
            pl.col("champion").sum().alias("champions"),
            pl.col("rank_ic").mean(),
            pl.col("mean_difference_annual").mean(),
        )
        .sort("control", "model")
    )
    return TableOutput(
        table,
        metadata={"summary": summary, "planted_sharpe": settings.planted_sharpe},
        plots={
            "Champions by control": plots.bars(
                [f"{c} {m}" for c, m in summary.select("control", "model").iter_rows()],
                (100 * summary["champions"] / summary["markets"]).to_list(),
                "Markets with a champion",
                "% of markets",
            )
        },
        ledgers={evidence.TRIALS: trials},
    )


def _every_set_is_there(context: CheckContext) -> CheckOutcome:
    """Cells of the grid, and what each says of its neighbours, made again from the table alone."""
    from btq_assets.backtest.sensitivity import AXES, neighbours

    name, table = "surface_is_whole", context.frame
    cells = 1
    for axis in AXES:
        cells *= table[axis].n_unique()
    if table.height != cells:
        return CheckOutcome(
            name, False, f"{table.height} sets, the values of the parameters make {cells}"
        )
    excess = table["excess_annual"].to_list()
    beside = neighbours(table.select(AXES).to_numpy().tolist())
    wrong = [
        number
        for number, (own, share) in enumerate(
            zip(beside, table["same_sign_share"].to_list(), strict=True)
        )
        if own
        and abs(
            sum((excess[k] > 0) == (excess[number] > 0) for k in own) / len(own) - (share or 0.0)
        )
        > 1e-9
    ]
    if wrong:
        return CheckOutcome(
            name, False, f"set {wrong[0]}: same_sign_share is not that of its neighbours"
        )
    return CheckOutcome(name, True, f"{cells} sets, each with its neighbours")


@table_asset(
    outputs=(contracts.SENSITIVITY,),
    inputs={"bars": core.BARS_1D},
    config=("backtest", "trading", "portfolio.max_gross_exposure", "universe"),
    code=("btq_assets.backtest", "btq_assets.engine", "btq_assets.contracts.controls"),
    checks=(
        frame_check(
            "surface_is_whole",
            "Every combination of the parameters has a row, and its share is that of its neighbours.",
            _every_set_is_there,
        ),
    ),
    group="controls",
)
def sensitivity(step: Step, bars: pl.DataFrame) -> TableOutput:
    """Sweep the momentum family over lookback, number held, rhythm and threshold."""
    from btq_assets import plots
    from btq_assets.backtest.market import Market
    from btq_assets.backtest.run import costs_of
    from btq_assets.backtest.sensitivity import FAMILY, Grid, momentum_surface, surface
    from btq_assets.backtest.sweep_trials import TrialSource
    from btq_assets.backtest.sweeps import Terms

    grid = Grid()
    market = Market.from_bars(bars, step.config.universe.main)
    market = market.since(market.ts[max(len(market.ts) - grid.n_sessions, 0)])
    recorded: list[tuple[pl.DataFrame, pl.DataFrame]] = []
    table, _ = momentum_surface(
        market,
        Terms(
            costs_of(market, step.config),
            step.config.trading.initial_cash,
            step.config.portfolio.max_gross_exposure,
        ),
        grid,
        recorder=lambda trials, returns: recorded.append((trials, returns)),
        source=TrialSource(FAMILY, step.code_version, step.run_id, step.now),
    )
    cells, across, down = surface(table)
    return TableOutput(
        table,
        metadata={
            "n_sets": table.height,
            "share_above_one_over_n": float((table["excess_annual"] > 0).mean() or 0.0),  # type: ignore[arg-type]
            "neighbours_that_keep_the_sign": float(table["same_sign_share"].mean() or 0.0),  # type: ignore[arg-type]
            "best": str(
                table.sort("excess_annual")
                .select("lookback_sessions", "top_k", "every_sessions", "threshold")
                .row(-1)
            ),
        },
        plots={
            "Excess over 1/N by lookback and number held": plots.heatmap(
                cells,
                across,
                down,
                "Mean return above 1/N, % a year",
                diverging=True,
                value_format="{:.1f}",
            )
        },
        ledgers={
            evidence.TRIALS: pl.concat([trials for trials, _ in recorded]),
            evidence.TRIAL_RETURNS: pl.concat([returns for _, returns in recorded]),
        },
    )
