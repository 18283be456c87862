"""The tables of the comparison: architectures, seeds, decay by horizon, and pairs.

Belongs here: putting figures together by architecture. Does not belong here: the figures themselves
(`models.comparison.measures`, `evidence`, `engine.metrics`).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from btq_assets.backtest.comparison.portfolios import strategy_name
from btq_assets.backtest.market import BacktestError
from btq_assets.config import TradingConfig
from btq_assets.config.comparison import REFERENCES
from btq_assets.contracts import comparison as tables
from btq_assets.engine import metrics
from btq_assets.engine.metrics import PERIODS_PER_YEAR
from btq_assets.models.comparison import measures, pairs
from btq_assets.models.comparison.architectures import NOTHING
from btq_assets.models.comparison.measures import Resampling

_SESSIONS_PER_DECISION = {"week": 5, "month": 21}


@dataclass(frozen=True)
class Judged:
    """The four tables."""

    comparison: pl.DataFrame
    seeds: pl.DataFrame
    decay: pl.DataFrame
    pairs: pl.DataFrame

    def by_table(self) -> dict[str, pl.DataFrame]:
        """Frames by ``schema.table``."""
        return {
            tables.COMPARISON.table: self.comparison,
            tables.SEEDS.table: self.seeds,
            tables.DECAY.table: self.decay,
            tables.PAIRS.table: self.pairs,
        }


def judged(
    forecasts: Mapping[str, pl.DataFrame],
    labels: pl.DataFrame,
    bars: pl.DataFrame,
    returns: pl.DataFrame,
    trials: pl.DataFrame,
    fits: pl.DataFrame,
    config: TradingConfig,
) -> Judged:
    """Every architecture by itself, by seed, by horizon and against the references.

    Nothing is fitted here: labels are only held against forecasts that are there.

    Parameters
    ----------
    forecasts
        ``models.compared_<architecture>`` by architecture.
    labels
        ``universe``, ``symbol``, ``ts``, ``label`` of ``models.training_set``.
    bars
        ``core.bars_1d``: returns over other horizons.
    returns
        ``backtest.comparison_returns``.
    trials, fits
        Ledgers ``evidence.trials`` and ``models.comparison_fits``.
    config
        Sections ``models``, ``backtest`` and ``universe``.

    Raises
    ------
    BacktestError
        A portfolio has no trial in the ledger.
    """
    resampling = Resampling.of(config)
    found = {name: measures.correlations(frame, labels) for name, frame in forecasts.items()}
    deflated = _deflated(returns, trials)
    seeds = pl.concat(
        _seed_rows(name, frame, labels, found[name], returns, deflated)
        for name, frame in forecasts.items()
    )
    rows = [
        _architecture_row(name, frame, labels, found[name], seeds, fits, deflated, resampling)
        for name, frame in forecasts.items()
    ]
    return Judged(
        comparison=_made(tables.COMPARISON, rows),
        seeds=seeds.sort(tables.SEEDS.key),
        decay=decay_table(forecasts, bars, config),
        pairs=pairs_table(found, returns, config),
    )


def _seed_rows(
    name: str,
    frame: pl.DataFrame,
    labels: pl.DataFrame,
    found: pl.DataFrame,
    returns: pl.DataFrame,
    deflated: Mapping[str, Mapping[str, Any]],
) -> pl.DataFrame:
    scored = measures.scores_by_seed(found).join(
        measures.calibration_by_seed(frame, labels), on="seed"
    )
    rows = []
    for row in scored.iter_rows(named=True):
        strategy = strategy_name(name, row["seed"])
        own = returns.filter(pl.col("strategy") == strategy).sort("ts")
        if strategy not in deflated or own.is_empty():
            raise BacktestError(
                f"{strategy} has no returns and trial in the ledger; make "
                "backtest.comparison_returns again"
            )
        trial = deflated[strategy]
        rows.append(
            {
                **row,
                "universe": frame["universe"][0],
                "model": name,
                "sharpe": metrics.calculate_sharpe(own["net_return"].to_numpy()),
                "turnover_annual": metrics.turnover_annual(own["turnover"].to_numpy()),
                "cost_annual": float(own["cost"].mean()) * PERIODS_PER_YEAR,  # type: ignore[arg-type]
                "trial_id": trial["trial_id"],
                "deflated_sharpe": trial["deflated_sharpe"],
            }
        )
    return _made(tables.SEEDS, rows)


def _architecture_row(
    name: str,
    frame: pl.DataFrame,
    labels: pl.DataFrame,
    found: pl.DataFrame,
    seeds: pl.DataFrame,
    fits: pl.DataFrame,
    deflated: Mapping[str, Mapping[str, Any]],
    resampling: Resampling,
) -> dict[str, Any]:
    own = seeds.filter(pl.col("model") == name)
    decisions = measures.by_decision(found)
    low, high = resampling.interval(decisions["rank_ic"].to_numpy())
    slope_low, slope_high = measures.slope_interval(frame, labels, resampling)
    covered = measures.coverage(frame, labels) or (None, None)
    of_mean = measures.correlations(measures.averaged(frame), labels)
    means = ("ic", "icir", "calibration_intercept", "calibration_slope", "relative_slope", "sharpe",
             "turnover_annual", "cost_annual")  # fmt: skip
    best = [value for value in own["deflated_sharpe"] if value is not None]
    return {
        "universe": frame["universe"][0],
        "model": name,
        "n_seeds": own.height,
        "n_decisions": decisions.height,
        "rank_ic": decisions["rank_ic"].mean(),
        "rank_ic_low": low,
        "rank_ic_high": high,
        "rank_ic_of_mean": of_mean["rank_ic"].mean(),
        "relative_slope_low": slope_low,
        "relative_slope_high": slope_high,
        "coverage_90": covered[0],
        "calibration_gap": covered[1],
        **{column: own[column].mean() for column in means},
        **{
            f"{column}_spread": own[column].std() if own.height > 1 else None
            for column in ("rank_ic", "icir", "sharpe")
        },
        "n_trials": next(iter(deflated.values()))["n_trials"],
        "deflated_sharpe": max(best, default=None),
        **_took(name, fits),
    }


def _took(name: str, fits: pl.DataFrame) -> dict[str, Any]:
    """Time of a seed and size, from the ledger; empty where it holds no fit of the architecture."""
    own = fits.filter((pl.col("model") == name) & (pl.col("without") == NOTHING))
    if own.is_empty():
        return {}
    times = own.group_by("seed").agg(pl.col("seconds", "processor_seconds").sum())
    last = own.filter(pl.col("fold") == pl.col("fold").max())
    return {
        "seconds": times["seconds"].mean(),
        "processor_seconds": times["processor_seconds"].mean(),
        "n_parameters": round(statistics.mean(last["n_parameters"])),
        "n_columns": int(last["n_columns"].max()),  # type: ignore[arg-type]
    }


def decay_table(
    forecasts: Mapping[str, pl.DataFrame], bars: pl.DataFrame, config: TradingConfig
) -> pl.DataFrame:
    """Rank correlations with relative returns from the fill over every configured horizon.

    A forecast is held against what came after its own fill alone, whatever the horizon; nothing is
    fitted, so that a return that reaches into the next fold's test segment tells no fit anything.
    Returns over long horizons overlap: blocks are at least as long as they do.
    """
    from btq_assets.models.training_set import relative_labels

    traded = bars.filter(pl.col("universe") == config.universe.main)
    every = _SESSIONS_PER_DECISION[config.models.decision_every]
    rows: list[dict[str, Any]] = []
    for horizon in config.models.comparison.horizons_sessions:
        labels = relative_labels(traded, horizon)
        resampling = Resampling.of(config)
        block = max(resampling.mean_block, 2 * horizon / every)
        longer = Resampling(block, resampling.n_samples, resampling.seed)
        for name, frame in forecasts.items():
            found = measures.correlations(frame, labels)
            decisions = measures.by_decision(found)["rank_ic"]
            low, high = longer.interval(decisions.to_numpy())
            by_seed = measures.scores_by_seed(found)["rank_ic"]
            rows.append(
                {
                    "universe": frame["universe"][0],
                    "model": name,
                    "horizon_sessions": horizon,
                    "n_decisions": decisions.len(),
                    "rank_ic": decisions.mean(),
                    "rank_ic_low": low,
                    "rank_ic_high": high,
                    "rank_ic_spread": by_seed.std() if by_seed.len() > 1 else None,
                }
            )
    return _made(tables.DECAY, rows)


def pairs_table(
    found: Mapping[str, pl.DataFrame], returns: pl.DataFrame, config: TradingConfig
) -> pl.DataFrame:
    """Every architecture against each reference, by rank correlation and by net return.

    Parameters
    ----------
    found
        `measures.correlations` by architecture.
    returns
        ``backtest.comparison_returns``.
    """
    decisions = {name: measures.by_decision(frame) for name, frame in found.items()}
    days = {
        str(name): rows.group_by("ts").agg(value=pl.col("net_return").mean()).sort("ts")
        for (name,), rows in returns.group_by("model")
    }
    block = config.backtest.bootstrap_mean_block_sessions
    by_decision = Resampling.of(config)
    by_day = Resampling(float(block), by_decision.n_samples, by_decision.seed)
    universe = config.universe.main
    rows: list[dict[str, Any]] = []
    for measure in tables.MEASURES:
        of_measure: list[dict[str, Any]] = []
        for name in found:
            for reference in REFERENCES:
                # ridge against LightGBM is LightGBM against ridge: one question, asked once.
                if reference not in found or name in REFERENCES[: REFERENCES.index(reference) + 1]:
                    continue
                if measure == "rank_ic":
                    both = decisions[name].join(decisions[reference], on="ts", suffix="_other")
                    first, second = (both[c].to_numpy() for c in ("rank_ic", "rank_ic_other"))
                    difference = pairs.paired_difference(first, second, by_decision)
                else:
                    both = days[name].join(days[reference], on="ts", suffix="_other")
                    first, second = (
                        both[c].to_numpy() * PERIODS_PER_YEAR for c in ("value", "value_other")
                    )
                    difference = pairs.paired_difference(first, second, by_day)
                of_measure.append(
                    {
                        "universe": universe,
                        "model": name,
                        "against": reference,
                        "measure": measure,
                        "n": difference.n,
                        "difference": difference.difference,
                        "ci_low": difference.low,
                        "ci_high": difference.high,
                        "p_value": difference.p_value,
                    }
                )
        adjusted = pairs.holm([row["p_value"] for row in of_measure])
        rows += [
            row | {"p_adjusted": p, "verdict": pairs.verdict(row["difference"], p)}
            for row, p in zip(of_measure, adjusted, strict=True)
        ]
    return _made(tables.PAIRS, rows)


def _deflated(returns: pl.DataFrame, trials: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Rows of the deflation of every portfolio, by strategy; the ledger says how many competed."""
    from btq_assets.evidence.deflation import deflated_sharpe_table

    equity = returns.select("strategy", "ts", "net_return", run_id=pl.col("strategy"))
    runs = returns.select("strategy", "universe").unique().sort("strategy")
    runs = runs.with_columns(run_id=pl.col("strategy"), role=pl.lit("candidate"))
    table = deflated_sharpe_table(equity, runs, trials)
    return {row["strategy"]: row for row in table.iter_rows(named=True)}


def _made(contract: Any, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    frame = pl.DataFrame(list(rows), schema=contract.schema)
    return frame.with_columns(pl.col(pl.Float64).fill_nan(None)).sort(contract.key)
