"""What the compared forecasts earn, and the comparison itself, in the asset graph; in the job `comparison`."""

from __future__ import annotations

import polars as pl

from btq_assets.backtest.comparison import checks
from btq_assets.config import TradingConfig
from btq_assets.contracts import comparison as tables
from btq_assets.contracts import core, evidence, models, regimes
from btq_assets.contracts.base import TableContract
from btq_assets.models.catalogue import FAMILIES
from btq_assets.warehouse import Step, TableAsset, TableOutput

GROUP = "comparison"

_COMPARED: dict[str, TableContract] = {
    f"compared_{name}": tables.COMPARED[name] for name in FAMILIES
}


def _forecasts(frames: dict[str, pl.DataFrame], config: TradingConfig) -> dict[str, pl.DataFrame]:
    """Forecasts of the architectures compared; a table of an earlier choice is left alone."""
    from btq_assets.models.comparison.architectures import compared_families

    return {family.name: frames[f"compared_{family.name}"] for family in compared_families(config)}


def _comparison_returns(
    step: Step, bars: pl.DataFrame, states: pl.DataFrame, **frames: pl.DataFrame
) -> TableOutput:
    """The rank portfolio of every architecture and seed through the engine, each a counted trial."""
    from btq_assets import plots
    from btq_assets.backtest.comparison.portfolios import rank_portfolios, returns_table, trials_of
    from btq_assets.engine.metrics import calculate_sharpe

    config = step.config
    portfolios = rank_portfolios(
        _forecasts(frames, config), bars, states if config.regimes.enable else None, config
    )
    trials, series = trials_of(
        portfolios,
        config,
        code_version=step.code_version,
        run_id=step.run_id,
        recorded_at=step.now,
    )
    table = returns_table(portfolios, config.universe.main)
    summary = pl.DataFrame(
        {
            "model": one.model,
            "seed": one.seed,
            "sharpe": calculate_sharpe(one.returns["net_return"].to_numpy()),
            "turnover_annual": float(one.returns["turnover"].mean()) * 252,  # type: ignore[arg-type]
        }
        for one in portfolios
    ).sort("sharpe", descending=True)
    step.log(f"{len(portfolios)} portfolios over {table['ts'].n_unique():,} sessions")
    mean = table.group_by("model", "ts").agg(pl.col("net_return").mean()).sort("model", "ts")
    growth = {
        str(model): rows["net_return"].log1p().cum_sum().exp()
        for (model,), rows in mean.group_by("model", maintain_order=True)
    }
    return TableOutput(
        table,
        metadata={"n_portfolios": len(portfolios), "sharpe_by_seed": summary},
        plots={
            "Growth after costs, mean of seeds": plots.lines(
                mean["ts"].unique().sort(),
                growth,
                "Rank portfolios after costs",
                "growth of 1",
                log=True,
            )
        },
        ledgers={evidence.TRIALS: trials, evidence.TRIAL_RETURNS: series},
    )


def _comparison(
    step: Step,
    training_set: pl.DataFrame,
    bars: pl.DataFrame,
    returns: pl.DataFrame,
    **frames: pl.DataFrame,
) -> TableOutput:
    """Every architecture beside the others: skill, decay, calibration, earnings, pairs, cost."""
    from btq_assets.backtest.comparison.judgement import judged
    from btq_assets.models.comparison.conclusion import verdict_sentence

    made = judged(
        _forecasts(frames, step.config),
        training_set.select("universe", "symbol", "ts", "label"),
        bars,
        returns,
        step.read_ledger(evidence.TRIALS),
        step.read_ledger(tables.FITS),
        step.config,
    )
    said = verdict_sentence(made.comparison, made.pairs)
    step.log(said)
    return TableOutput(
        made.by_table(),
        metadata={
            "verdict": said,
            "comparison": made.comparison.sort("rank_ic", descending=True).select(
                "model", "n_seeds", "rank_ic", "rank_ic_low", "rank_ic_high", "rank_ic_spread",
                "icir", "relative_slope", "sharpe", "turnover_annual", "deflated_sharpe", "seconds",
            ),
            "pairs": made.pairs,
        },
        plots=_plots(made.comparison, made.seeds, made.decay),
    )  # fmt: skip


def _plots(comparison: pl.DataFrame, seeds: pl.DataFrame, decay: pl.DataFrame) -> dict[str, bytes]:
    from btq_assets import plots

    order = comparison.sort("rank_ic", descending=True)["model"].to_list()
    horizons = decay["horizon_sessions"].unique().sort().to_list()
    by_seed = [
        (f"{model} s{seed}", value)
        for model in order
        for seed, value in seeds.filter(pl.col("model") == model)
        .sort("seed")
        .select("seed", "rank_ic")
        .rows()
    ]
    curves = {
        model: decay.filter(pl.col("model") == model).sort("horizon_sessions")["rank_ic"]
        for model in order
    }
    return {
        "Rank IC by architecture": plots.bars(
            order,
            comparison.sort("rank_ic", descending=True)["rank_ic"].to_list(),
            "Mean rank IC out of sample, mean of seeds",
            "rank IC",
        ),
        "Rank IC by seed": plots.bars(
            [name for name, _ in by_seed],
            [value for _, value in by_seed],
            "Mean rank IC out of sample",
            "rank IC",
        ),
        "Decay by horizon": plots.lines(
            horizons, curves, "Mean rank IC by horizon", "rank IC", xlabel="sessions from the fill"
        ),
    }


comparison_returns = TableAsset(
    compute=_comparison_returns,
    outputs=(tables.RETURNS,),
    inputs={"bars": core.BARS_1D, "states": regimes.STATES, **_COMPARED},
    config=(
        "portfolio",
        "trading.initial_cash",
        "trading.max_position_size",
        "universe.main",
        "models.horizon_sessions",
        "models.comparison.families",
        "regimes.enable",
        "backtest",
    ),
    code=(
        "btq_assets.backtest.comparison.portfolios",
        "btq_assets.backtest.market",
        "btq_assets.backtest.run",
        "btq_assets.engine",
        "btq_assets.evidence.trials",
        "btq_assets.portfolio",
        "btq_assets.risk.limits",
        "btq_assets.contracts.comparison",
        __name__,
    ),
    checks=(checks.PORTFOLIOS_DIFFER,),
    group=GROUP,
    absent_as_empty=True,
)

comparison = TableAsset(
    compute=_comparison,
    outputs=(tables.COMPARISON, tables.SEEDS, tables.DECAY, tables.PAIRS),
    inputs={
        "training_set": models.TRAINING_SET,
        "bars": core.BARS_1D,
        "returns": tables.RETURNS,
        **_COMPARED,
    },
    config=(
        "models.comparison",
        "models.decision_every",
        "universe.main",
        "backtest.bootstrap_mean_block_sessions",
    ),
    code=(
        "btq_assets.backtest.comparison",
        "btq_assets.models.comparison",
        "btq_assets.models.training_set",
        "btq_assets.engine.metrics",
        "btq_assets.evidence",
        "btq_assets.timeline",
        "btq_assets.contracts.comparison",
    ),
    checks=(checks.SAME_DECISIONS, checks.TRIALS_COUNTED),
    group=GROUP,
    ledgers=(evidence.TRIALS, tables.FITS),
    absent_as_empty=True,
)
