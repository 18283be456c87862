"""The backtest in the asset graph: all strategies and baselines over the same bars."""

from __future__ import annotations

import polars as pl

from btq_assets.backtest import attribution_checks, checks, figures_checks, unfilled_checks
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts import core, evidence, portfolio, regimes
from btq_assets.warehouse import Step, TableOutput, table_asset

#: Strategies drawn beside the baselines; more lines cannot be told apart.
MAX_LINES = 7

SHOWN_METRICS = (
    "annual_return",
    "annual_volatility",
    "sharpe",
    "max_drawdown",
    "calmar",
    "turnover_annual",
    "cost_annual",
)


@table_asset(
    outputs=(
        contracts.RUNS,
        contracts.EQUITY,
        contracts.TRADES,
        contracts.UNFILLED_ORDERS,
        contracts.POSITIONS,
        contracts.METRICS,
        contracts.COMPARISONS,
        contracts.ROUND_TRIPS,
        contracts.SLICES,
    ),
    inputs={
        "bars": core.BARS_1D,
        "rank": portfolio.TARGETS_RANK,
        "kelly": portfolio.TARGETS_KELLY,
        "hrp": portfolio.TARGETS_HRP,
        "ppo": portfolio.TARGETS_PPO,
        "baselines": portfolio.TARGETS_BASELINES,
        "regime": portfolio.TARGETS_REGIME,
        "market_states": regimes.MARKET_STATES,
        "volatility_states": regimes.VOLATILITY_STATES,
    },
    config=("backtest", "trading", "portfolio.max_gross_exposure", "universe", "models.seeds"),
    code=("btq_assets.backtest", "btq_assets.engine", "btq_assets.evidence"),
    checks=(*checks.ALL, *figures_checks.ALL, unfilled_checks.ORDERS_ADD_UP),
    group="backtest",
)
def strategies(
    step: Step,
    bars: pl.DataFrame,
    rank: pl.DataFrame,
    kelly: pl.DataFrame,
    hrp: pl.DataFrame,
    ppo: pl.DataFrame,
    baselines: pl.DataFrame,
    regime: pl.DataFrame,
    market_states: pl.DataFrame,
    volatility_states: pl.DataFrame,
) -> TableOutput:
    """Every strategy and baseline through the engine: same bars, same cash, same costs."""
    from btq_assets.backtest.run import run_strategies, trial_inputs, union_of_targets
    from btq_assets.evidence.trials import trial_rows

    tables = {
        "rank": rank,
        "kelly": kelly,
        "hrp": hrp,
        "ppo": ppo,
        "baselines": baselines,
        "regime": regime,
    }
    done = run_strategies(
        bars,
        union_of_targets(tables),
        step.config,
        baselines=frozenset(baselines["strategy"].unique().to_list()),
        states={"market": market_states, "volatility": volatility_states},
        code_version=step.code_version,
    )
    ledger = [
        trial_rows(
            done.equity.filter(pl.col("run_id") == run.run_id).select("ts", "net_return"),
            code_version=step.code_version,
            run_id=step.run_id,
            recorded_at=step.now,
            **trial_inputs(run, step.config),
        )
        for run in done.details
        if run.role != "benchmark"
    ]
    return TableOutput(
        done.by_table(),
        metadata={
            "summary": summary(done.metrics, done.runs),
            "n_runs": done.runs.height,
            "n_fills": done.trades.height,
            "n_unfilled_orders": done.unfilled_orders.height,
            "n_rejected_orders": int(done.runs["n_rejected_orders"].sum()),
            "identity_error": max(done.runs["identity_error"].to_list()),
            "significantly_above_one_over_n": _above(done.comparisons, done.runs),
        },
        plots=_plots(done.equity, done.runs, done.metrics),
        ledgers={
            evidence.TRIALS: pl.concat([trial for trial, _ in ledger]),
            evidence.TRIAL_RETURNS: pl.concat([returns for _, returns in ledger]),
        },
    )


def summary(metrics: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """One row per run with the figures people look at first, best Sharpe ratio on top."""
    return (
        metrics.filter(pl.col("metric").is_in(SHOWN_METRICS))
        .pivot(on="metric", index="run_id", values="value")
        .join(runs.select("run_id", "strategy", "role"), on="run_id")
        .select("strategy", "role", *SHOWN_METRICS)
        .sort("sharpe", descending=True, nulls_last=True)
    )


def _above(comparisons: pl.DataFrame, runs: pl.DataFrame) -> str:
    candidates = runs.filter(pl.col("role") == "candidate")["strategy"]
    found = comparisons.filter(
        (pl.col("against") == "one_over_n")
        & pl.col("significant")
        & pl.col("strategy").is_in(candidates.implode())
    )
    return ", ".join(found["strategy"].to_list()) or "none"


def _plots(equity: pl.DataFrame, runs: pl.DataFrame, metrics: pl.DataFrame) -> dict[str, bytes]:
    from btq_assets import plots
    from btq_assets.engine.metrics import fall_path

    order = summary(metrics, runs)
    candidates = order.filter(pl.col("role") == "candidate")["strategy"].head(MAX_LINES).to_list()
    baselines = order.filter(pl.col("role") == "baseline")["strategy"].head(MAX_LINES).to_list()
    wide = equity.pivot(on="strategy", index="ts", values="equity").sort("ts")
    drawn = {}
    for title, names in (
        ("strategies", [*candidates, "one_over_n"]),
        ("baselines", baselines),
    ):
        names = [name for name in names if name in wide.columns]
        paths = {name: wide[name] for name in names}
        drawn[f"equity of {title}"] = plots.lines(
            wide["ts"], paths, f"Equity of {title}, after costs", "currency", log=True
        )
        falls = {name: -100 * fall_path(path) for name, path in paths.items()}
        drawn[f"drawdown of {title}"] = plots.lines(
            wide["ts"], falls, f"Drawdown of {title}", "% below the peak"
        )
    return drawn


def _factor_file_version(config: TradingConfig) -> str:
    """Hash of the configured factor file; empty without one."""
    import hashlib

    content = _factor_file(config)
    return "" if content is None else hashlib.sha256(content).hexdigest()


def _factor_file(config: TradingConfig) -> bytes | None:
    from pathlib import Path

    from btq_assets.backtest.market import BacktestError

    name = config.backtest.factor_file
    if name is None:
        return None
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise BacktestError(f"backtest.factor_file = {name!r} cannot be read: {error}") from error


@table_asset(
    outputs=(contracts.ATTRIBUTION,),
    inputs={
        "equity": contracts.EQUITY,
        "bars": core.BARS_1D,
        "macro": core.MACRO_VINTAGES,
    },
    config=("backtest.factor_file", "universe.main"),
    code=("btq_assets.backtest", "btq_assets.engine"),
    checks=(attribution_checks.ATTRIBUTION_ADDS_UP, attribution_checks.ATTRIBUTION_NOT_HOLLOW),
    group="backtest",
    source_version=_factor_file_version,
)
def attribution(
    step: Step, equity: pl.DataFrame, bars: pl.DataFrame, macro: pl.DataFrame
) -> TableOutput:
    """Returns of every run regressed on factors, with Newey-West errors."""
    from btq_assets.backtest.attribution import attribution_rows
    from btq_assets.backtest.factors import french_file

    models = attribution_checks.bundled_factors(bars, macro, step.config.universe.main)
    content, name = _factor_file(step.config), step.config.backtest.factor_file
    if content is not None and name is not None:
        models.append(french_file(content, name.replace("\\", "/").rsplit("/", 1)[-1]))
    rows = attribution_rows(equity, models)
    alphas = rows.filter((pl.col("factor") == "alpha") & (pl.col("model") == "universe"))
    return TableOutput(
        rows,
        metadata={
            "models": ", ".join(f"{m.model} ({m.frequency}, {len(m.period)})" for m in models),
            "alpha_to_universe": alphas.select(
                "strategy", "coefficient", "standard_error", "t_value", "r_squared"
            ).sort("t_value", descending=True, nulls_last=True),
        },
    )
