"""Scenarios, crises and stresses in the asset graph."""

from __future__ import annotations

import polars as pl

from btq_assets.backtest.robustness import checks
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts import core, evidence, portfolio, regimes
from btq_assets.warehouse import Step, TableOutput, table_asset

#: Strategies drawn; more bars cannot be told apart.
MAX_DRAWN = 8


@table_asset(
    outputs=(contracts.SCENARIOS, contracts.CRISES),
    inputs={
        "runs": contracts.RUNS,
        "equity": contracts.EQUITY,
        "market_states": regimes.MARKET_STATES,
        "volatility_states": regimes.VOLATILITY_STATES,
    },
    config=("universe.main",),
    code=("btq_assets.backtest", "btq_assets.engine", "btq_assets.risk.scenarios"),
    checks=checks.SCENARIO_CHECKS,
    group="backtest",
)
def scenarios(
    step: Step,
    runs: pl.DataFrame,
    equity: pl.DataFrame,
    market_states: pl.DataFrame,
    volatility_states: pl.DataFrame,
) -> TableOutput:
    """Slice each finished run by the state known before each day, and through dated crises."""
    from btq_assets.backtest.robustness.tables import crisis_table, scenario_table

    slices = scenario_table(equity, market_states, volatility_states, step.config.universe.main)
    crises = crisis_table(equity)
    shown = _shown(runs)
    return TableOutput(
        {contracts.SCENARIOS.table: slices, contracts.CRISES.table: crises},
        metadata={
            "sharpe_by_state": slices.filter(pl.col("strategy").is_in(shown))
            .with_columns(state=pl.concat_str("dimension", "scenario", separator=": "))
            .pivot(on="state", index="strategy", values="sharpe")
            .sort("strategy"),
            "crises_covered": crises.filter("covered")["crisis"].n_unique(),
            "crises_not_covered": ", ".join(
                sorted(set(crises["crisis"]) - set(crises.filter("covered")["crisis"]))
            )
            or "none",
        },
        plots=_crisis_plot(crises.filter(pl.col("strategy").is_in(shown))),
    )


@table_asset(
    outputs=(contracts.STRESSES,),
    inputs={
        "runs": contracts.RUNS,
        "equity": contracts.EQUITY,
        "bars": core.BARS_1D,
        "rank": portfolio.TARGETS_RANK,
        "kelly": portfolio.TARGETS_KELLY,
        "hrp": portfolio.TARGETS_HRP,
        "ppo": portfolio.TARGETS_PPO,
        "baselines": portfolio.TARGETS_BASELINES,
        "regime": portfolio.TARGETS_REGIME,
    },
    config=("backtest", "trading.initial_cash", "portfolio.max_gross_exposure", "universe.main"),
    code=("btq_assets.backtest", "btq_assets.engine", "btq_assets.evidence"),
    checks=checks.STRESS_CHECKS,
    group="backtest",
)
def stressed(
    step: Step,
    runs: pl.DataFrame,
    equity: pl.DataFrame,
    bars: pl.DataFrame,
    rank: pl.DataFrame,
    kelly: pl.DataFrame,
    hrp: pl.DataFrame,
    ppo: pl.DataFrame,
    baselines: pl.DataFrame,
    regime: pl.DataFrame,
) -> TableOutput:
    """Run candidates and 1/N again under other costs, delays, liquidity and universes."""
    from btq_assets.backtest.market import Market
    from btq_assets.backtest.robustness import tables
    from btq_assets.backtest.run import union_of_targets
    from btq_assets.evidence.trials import trial_rows

    market = Market.from_bars(bars, step.config.universe.main).since(
        runs.filter(pl.col("role") != "benchmark")["first_ts"].sort()[0]
    )
    targets = {
        "rank": rank,
        "kelly": kelly,
        "hrp": hrp,
        "ppo": ppo,
        "baselines": baselines,
        "regime": regime,
    }
    done = tables.stressed_runs(market, union_of_targets(targets), runs, step.config)
    ids, trials = {}, [evidence.TRIALS.empty()]
    for run in done:
        if run.stress.kind == "none":
            continue
        row, _ = trial_rows(
            pl.DataFrame({"ts": market.ts.tail(-1), "net_return": run.returns}),
            **tables.stress_trial_inputs(run, step.config),
            code_version=step.code_version,
            run_id=step.run_id,
            recorded_at=step.now,
        )
        ids[run.strategy, run.stress.case] = row["trial_id"][0]
        trials.append(row)
    table = tables.stress_table(done, ids, step.config)
    costs = table.filter(pl.col("kind").is_in(["none", "cost", "delay", "liquidity"]))
    return TableOutput(
        table,
        metadata={
            "n_stressed_runs": len(ids),
            "sharpe_by_case": costs.pivot(on="case", index="strategy", values="sharpe").sort(
                "strategy"
            ),
        },
        ledgers={evidence.TRIALS: pl.concat(trials)},
    )


def _shown(runs: pl.DataFrame) -> list[str]:
    candidates = runs.filter(pl.col("role") == "candidate")["strategy"].sort().to_list()
    return [*candidates[: MAX_DRAWN - 1], "one_over_n"]


def _crisis_plot(crises: pl.DataFrame) -> dict[str, bytes]:
    from btq_assets import plots

    plain = crises.filter((pl.col("strategy") == "one_over_n") & pl.col("covered"))
    if plain.is_empty():
        return {}
    plain = plain.sort("first_day")
    return {
        "1/N in crises": plots.bars(
            plain["crisis"].to_list(),
            (100 * plain["window_return"]).to_list(),
            "Net return of 1/N over each crisis the data cover",
            "%",
        )
    }
