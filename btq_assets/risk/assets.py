"""Assets of the risk room: measures with their test, and scenarios on the weights held last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from btq_assets.contracts import backtest, core, risk
from btq_assets.risk.checks import MEASURES_CHECKS, SCENARIO_CHECKS
from btq_assets.warehouse import Step, TableOutput, table_asset

if TYPE_CHECKING:
    from btq_assets.risk.held import Holdings
    from btq_assets.risk.rolling import RollingRisk
    from btq_assets.risk.simulation import Simulated

_INPUTS = {
    "bars": core.BARS_1D,
    "positions": backtest.POSITIONS,
    "equity": backtest.EQUITY,
    "runs": backtest.RUNS,
}
_REFERENCE = "one_over_n"


@table_asset(
    outputs=(risk.MEASURES, risk.EXCEEDANCES),
    inputs=_INPUTS,
    config=("risk", "features.truncation_dates"),
    code=(
        "btq_assets.risk",
        "btq_assets.evidence.truncation",
        "btq_assets.evidence.comparison",
        "btq_assets.contracts.risk",
    ),
    checks=MEASURES_CHECKS,
    group="risk",
)
def measures(
    step: Step,
    bars: pl.DataFrame,
    positions: pl.DataFrame,
    equity: pl.DataFrame,
    runs: pl.DataFrame,
) -> TableOutput:
    """VaR and CVaR of the weights held at each date, tested against the next session's return."""
    from btq_assets.risk.held import holdings
    from btq_assets.risk.measures import QUANTILE_RULE
    from btq_assets.risk.rolling import exceedances_table, measures_table, rolling_risk

    found = [
        rolling_risk(held, step.config.risk) for held in holdings(bars, positions, equity, runs)
    ]
    table, tested = measures_table(found), exceedances_table(found)
    best = best_strategy(equity, runs)
    return TableOutput(
        {risk.MEASURES.table: table, risk.EXCEEDANCES.table: tested},
        metadata={
            "quantile_rule": QUANTILE_RULE,
            "shown": best,
            "exceedances": tested.filter(pl.col("strategy").is_in([best, _REFERENCE])).drop("note"),
            "share_without_valid_value": 1 - float(table["valid"].mean()),  # type: ignore[arg-type]
        },
        plots=_exceedance_plots(found, best),
    )


@table_asset(
    outputs=(risk.STRESS, risk.SIMULATIONS, risk.DRAWDOWNS),
    inputs=_INPUTS,
    config=("risk", "trading", "backtest.bootstrap_mean_block_sessions"),
    code=("btq_assets.risk", "btq_assets.evidence.bootstrap", "btq_assets.contracts.risk"),
    checks=SCENARIO_CHECKS,
    group="risk",
)
def scenarios(
    step: Step,
    bars: pl.DataFrame,
    positions: pl.DataFrame,
    equity: pl.DataFrame,
    runs: pl.DataFrame,
) -> TableOutput:
    """Crisis windows and simulated paths of the weights held last, and the drawdowns of each run."""
    from btq_assets.risk.drawdowns import drawdown_table
    from btq_assets.risk.held import holdings
    from btq_assets.risk.limits import breaches
    from btq_assets.risk.replays import simulations, simulations_table, stress_table

    found = list(holdings(bars, positions, equity, runs))
    best = best_strategy(equity, runs)
    stress = stress_table(found)
    paths = list(
        simulations(
            found,
            step.config.risk,
            step.config.backtest.bootstrap_mean_block_sessions,
            with_fan=frozenset({best}),
        )
    )
    candidates = runs.filter(pl.col("role") == "candidate")["strategy"].sort().to_list()
    broken = breaches(
        last_weights(found).filter(pl.col("strategy").is_in(candidates)),
        {
            name: equity.filter(pl.col("strategy") == name).sort("ts")["equity"].to_numpy()
            for name in candidates
        },
        step.config.trading,
    )
    return TableOutput(
        {
            risk.STRESS.table: stress,
            risk.SIMULATIONS.table: simulations_table(paths),
            risk.DRAWDOWNS.table: drawdown_table(equity),
        },
        metadata={
            "shown": best,
            "limits_breached": "; ".join(
                f"{b.strategy}: {b.limit} {b.value:.1%} > {b.allowed:.0%} ({b.detail})"
                for b in broken
            )
            or "none",
            "windows_not_covered": ", ".join(
                stress.filter(~pl.col("covered"))["scenario"].unique().sort()
            )
            or "none",
        },
        plots=_scenario_plots(stress, paths, best),
    )


def best_strategy(equity: pl.DataFrame, runs: pl.DataFrame) -> str:
    """Candidate with the highest Sharpe ratio, shown in plots; any run where there is none."""
    from btq_assets.engine.metrics import calculate_sharpe

    candidates = runs.filter(pl.col("role") == "candidate")
    shown = candidates if candidates.height else runs.filter(pl.col("role") == "baseline")
    returns = (
        equity.join(shown.select("run_id"), on="run_id", how="semi")
        .drop_nulls("net_return")
        .group_by("strategy")
        .agg("net_return")
    )
    ranked = pl.DataFrame(
        {
            "strategy": returns["strategy"],
            "sharpe": [calculate_sharpe(values) for values in returns["net_return"]],
        },
        schema={"strategy": pl.String, "sharpe": pl.Float64},
    ).sort(pl.col("sharpe").fill_nan(None), "strategy", descending=[True, False], nulls_last=True)
    return ranked["strategy"][0]


def last_weights(found: list[Holdings]) -> pl.DataFrame:
    """``strategy``, ``symbol``, ``weight`` at each strategy's last bar."""
    rows: list[dict[str, Any]] = [
        {"strategy": strategy, "symbol": symbol, "weight": float(weight)}
        for held in found
        for strategy, weights in zip(held.strategies, held.last_weights, strict=True)
        for symbol, weight in zip(held.symbols, weights, strict=True)
    ]
    return pl.DataFrame(
        rows, schema={"strategy": pl.String, "symbol": pl.String, "weight": pl.Float64}
    )


def _exceedance_plots(found: list[RollingRisk], best: str) -> dict[str, bytes]:
    import numpy as np

    from btq_assets import plots
    from btq_assets.risk.rolling import next_returns

    drawn = {}
    for one in found:
        if best not in one.holdings.strategies:
            continue
        s = one.holdings.strategies.index(best)
        after = next_returns(one)[:, s]
        for i, level in enumerate(one.levels):
            var = one.values[:, s, 0, 0, i]
            beyond = np.flatnonzero(-after > var)
            # A spike from the VaR line: a lone point would not be drawn by a line.
            spikes = np.full(len(after), np.nan)
            spikes[np.maximum(beyond - 1, 0)] = -var[np.maximum(beyond - 1, 0)]
            spikes[beyond] = after[beyond]
            drawn[f"VaR {level:.0%} and the next session"] = plots.lines(
                one.holdings.ts.gather(one.dates),
                {
                    "next session's return": 100 * after,
                    f"exceedance ({len(beyond)})": 100 * spikes,
                    f"- historical VaR {level:.0%}": -100 * var,
                },
                f"{best}: next session's return against VaR {level:.0%}",
                "% of equity",
                max_points=len(after),
            )
    return drawn


def _scenario_plots(
    stress: pl.DataFrame, paths: list[tuple[str, Simulated]], best: str
) -> dict[str, bytes]:
    from btq_assets import plots

    covered = stress.filter((pl.col("strategy") == best) & pl.col("covered")).sort("window_start")
    drawn = {
        "stress windows": plots.bars(
            covered["scenario"].to_list(),
            (100 * covered["window_return"]).to_list(),
            f"{best}: weights held last, through past crises",
            "return over the window, %",
        )
    }
    for strategy, simulated in paths:
        if strategy == best and simulated.fan is not None:
            labels = ("5 %", "25 %", "median", "75 %", "95 %")
            drawn[f"Monte Carlo, {simulated.method}"] = plots.lines(
                range(simulated.horizon_sessions + 1),
                dict(zip(labels, simulated.fan, strict=True)),
                f"{best}: {simulated.n_paths:,} paths ({simulated.method.replace('_', ' ')})",
                "wealth, start = 1",
                xlabel="sessions",
            )
    return drawn
