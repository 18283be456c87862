"""The whole path on one market: features, folds, forecasts, weights, engine, verdict.

Belongs here: calling the functions the assets call, in their order. Does not belong here: any rule
of its own; what decides here decides in research.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.backtest.controls.markets import LEAK, ControlMarket, bars_of
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.contracts import models as model_tables
from btq_assets.evidence.verdict import REFERENCE, Verdict, verdict

if TYPE_CHECKING:
    from btq_assets.config import BacktestSection, TradingConfig
    from btq_assets.models.forecaster import Forecaster

#: Name of the signal's column, and of the column that holds what a decision cannot know.
SIGNAL, TOMORROW = "control_signal", "control_tomorrow"

#: Portfolios made of each model's forecasts: shape → how it weighs a row of scores.
SHAPES = ("tilt_half", "tilt_full", "top_third", "top_5", "top_8")

#: Decisions between two rebalances.
RHYTHMS = (1, 4)


@dataclass(frozen=True)
class ControlRun:
    """What the path made of one market.

    Attributes
    ----------
    verdict
        Its verdict; a survivor is a champion.
    comparisons, deflated
        Rows of ``backtest.comparisons`` and ``evidence.deflated_sharpe``.
    trials
        Rows of ``evidence.trials``, purpose ``control``.
    rank_ic
        Mean rank IC of the forecasts out of sample.
    n_returns
        Daily returns of each candidate.
    """

    verdict: Verdict
    comparisons: pl.DataFrame
    deflated: pl.DataFrame
    trials: pl.DataFrame
    rank_ic: float
    n_returns: int


def small_models() -> dict[str, Callable[[str, int], Forecaster]]:
    """The models of the controls, small enough for hundreds of fits; by name."""
    from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster, TransformerGNNSpec
    from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
    from btq_assets.models.ridge import RidgeForecaster, RidgeSpec

    def ridge(variant: str, seed: int) -> Forecaster:
        return RidgeForecaster(RidgeSpec(variant=variant, seed=seed))

    def lightgbm(variant: str, seed: int) -> Forecaster:
        spec = LightGBMSpec(
            variant=variant,
            seed=seed,
            num_leaves=7,
            learning_rate=0.1,
            n_estimators=60,
            min_child_samples=100,
            early_stopping_rounds=15,
        )
        return LightGBMForecaster(spec)

    def transformer_gnn(variant: str, seed: int) -> Forecaster:
        return TransformerGNNForecaster(
            TransformerGNNSpec(variant=variant, seed=seed, lookback_sessions=10)
        )

    return {"ridge": ridge, "lightgbm": lightgbm, "transformer_gnn": transformer_gnn}


def control_panel(market: ControlMarket, config: TradingConfig) -> pl.DataFrame:
    """``models.training_set`` of the market, with the signal, and the leak where it is one."""
    from btq_assets.contracts import regimes
    from btq_assets.features.families import FAMILY
    from btq_assets.models import training_set

    seen = bars_of(market, market.seen)
    features = {
        name: FAMILY[name].compute({"bars": seen}, config)
        for name in config.models.feature_families
    }
    panel = training_set.build(
        bars_of(market, market.traded), features, regimes.STATES.empty(), config
    )
    base = market.base
    known = pl.DataFrame(
        {
            "symbol": np.repeat(np.array(base.symbols), len(base.ts)),
            "ts": pl.concat([base.ts] * len(base.symbols)),
            SIGNAL: market.signal.T.ravel(),
        }
    )
    panel = panel.join(known, on=["symbol", "ts"], how="left", maintain_order="left")
    return (
        panel.with_columns(pl.col("label_raw").alias(TOMORROW)) if market.control == LEAK else panel
    )


def run_control(
    market: ControlMarket,
    model: str,
    config: TradingConfig,
    *,
    panel: pl.DataFrame | None = None,
    code_version: str = "notebook",
    run_id: str = "notebook",
    recorded_at: datetime,
) -> ControlRun:
    """Take one model along the whole path on one market.

    Parameters
    ----------
    market
        From `control_market`.
    model
        One of `small_models`.
    config
        From `ControlSettings.config`.
    panel
        `control_panel` of the market, where several models share it.
    code_version, run_id, recorded_at
        Of the trials.
    """
    from btq_assets.models.folds import splits
    from btq_assets.models.walk_forward import Plan, fit_all, forecasts_table
    from btq_assets.portfolio.panel import PricePanel, forecast_matrix

    panel = control_panel(market, config) if panel is None else panel
    columns = _columns(panel, config)
    plan = Plan(small_models()[model], ("base",), (0,), columns, ())
    fits = fit_all(panel, splits(panel, config), plan, data_hash="control")
    table = forecasts_table(fits, model_tables.FORECASTS_RIDGE, config.models.horizon_sessions)
    bars = bars_of(market, market.traded)
    prices = PricePanel.from_bars(bars, market.base.universe)
    rows, scores = forecast_matrix(
        table, prices, variant="base", horizon_sessions=config.models.horizon_sessions
    )
    weights = {
        f"{model}_{name}": made
        for name, made in candidate_weights(rows, scores, prices, config).items()
    }
    baselines = baseline_weights(rows, prices, config)
    traded = Market.from_bars(bars, market.base.universe).since(market.base.ts[int(rows[0])])
    ics = [fit.test_rank_ic for fit in fits]
    return judged(
        traded,
        {name: made[rows[0] :] for name, made in weights.items()},
        {name: made[rows[0] :] for name, made in baselines.items()},
        config,
        seed=market.seed,
        rank_ic=float(np.nanmean(ics)) if np.isfinite(ics).any() else float("nan"),
        code_version=code_version,
        run_id=run_id,
        recorded_at=recorded_at,
    )


def _columns(panel: pl.DataFrame, config: TradingConfig) -> tuple[str, ...]:
    from btq_assets.models.chosen import chosen_columns

    own = tuple(name for name in (SIGNAL, TOMORROW) if name in panel.columns)
    return (*chosen_columns(config).asset, *own)


def candidate_weights(
    rows: np.ndarray, scores: np.ndarray, prices: Any, config: TradingConfig
) -> dict[str, np.ndarray]:
    """Ten portfolios of the same forecasts: five shapes at two rhythms, ``float64[T, N]`` each."""
    from btq_assets.portfolio.baselines import equal_weights, top_third_weights
    from btq_assets.portfolio.ranks import rank_weights
    from btq_assets.risk.limits import cap_weights, limit_weights

    def best(row: np.ndarray, k: int) -> np.ndarray:
        chosen = np.zeros(row.shape, dtype=bool)
        chosen[np.argsort(-row, kind="stable")[: min(k, len(row) - 1)]] = True
        return equal_weights(chosen & np.isfinite(row))

    weigh: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "tilt_half": lambda row: rank_weights(row, 0.5),
        "tilt_full": lambda row: rank_weights(row, 1.0),
        "top_third": top_third_weights,
        "top_5": lambda row: best(row, 5),
        "top_8": lambda row: best(row, 8),
    }
    limit, gross = config.trading.max_position_size, config.portfolio.max_gross_exposure
    made = {}
    for shape in SHAPES:
        wanted = np.array(
            [limit_weights(cap_weights(weigh[shape](row), limit), limit, gross) for row in scores]
        )
        for rhythm in RHYTHMS:
            matrix = np.full(prices.prices.shape, np.nan)
            matrix[rows[::rhythm]] = wanted[::rhythm]
            made[f"{shape}_every_{rhythm}"] = matrix
    return made


def baseline_weights(rows: np.ndarray, prices: Any, config: TradingConfig) -> dict[str, np.ndarray]:
    """1/N and 12-1 momentum at the same decisions, ``float64[T, N]`` each."""
    from btq_assets.portfolio.baselines import equal_weights, momentum_scores, top_third_weights
    from btq_assets.risk.limits import cap_weights, limit_weights

    limit, gross = config.trading.max_position_size, config.portfolio.max_gross_exposure
    made = {}
    for name in (REFERENCE, "momentum_12_1"):
        matrix = np.full(prices.prices.shape, np.nan)
        for row in rows.tolist():
            wanted = (
                equal_weights(np.isfinite(prices.prices[row]))
                if name == REFERENCE
                else top_third_weights(momentum_scores(prices, row))
            )
            matrix[row] = limit_weights(cap_weights(wanted, limit), limit, gross)
        made[name] = matrix
    return made


def judged(
    market: Market,
    candidates: Mapping[str, np.ndarray],
    baselines: Mapping[str, np.ndarray],
    config: TradingConfig,
    *,
    seed: int,
    rank_ic: float,
    code_version: str,
    run_id: str,
    recorded_at: datetime,
) -> ControlRun:
    """Weights through the engine, comparison, deflation and verdict.

    The market's own candidates are all that competed for its question: deflation counts them, in a
    ledger of their own. What is handed to the house's ledger has purpose ``control``, which nothing
    counts.
    """
    from btq_assets.backtest.figures import comparison_rows
    from btq_assets.backtest.run import costs_of, simulate_weights
    from btq_assets.evidence.deflation import deflated_sharpe_table
    from btq_assets.evidence.trials import trial_rows

    costs = costs_of(market, config)
    digest = market.digest()
    returns, ledger, equity, runs = {}, [], [], []
    for name, weights in (*candidates.items(), *baselines.items()):
        done = simulate_weights(market, weights, costs, config)
        returns[name] = done.returns[1:]
        role = "candidate" if name in candidates else "baseline"
        runs.append({"run_id": name, "strategy": name, "universe": market.universe, "role": role})
        if role == "baseline":
            continue
        if not np.isfinite(returns[name]).all():
            raise BacktestError(
                f"control {seed}: {name} lost everything; its returns are undefined"
            )
        path = pl.DataFrame({"ts": market.ts.slice(1), "net_return": returns[name]})
        equity.append(path.with_columns(run_id=pl.lit(name), strategy=pl.lit(name)))
        trial, _ = trial_rows(
            path,
            strategy=name,
            universe=market.universe,
            purpose="candidate",
            config={"control_seed": seed},
            data_hash=hashlib.sha256(digest.encode() + weights.tobytes()).hexdigest()[:20],
            code_version=code_version,
            seed=seed,
            run_id=run_id,
            recorded_at=recorded_at,
        )
        ledger.append(trial)
    comparisons = comparison_rows(returns, list(baselines), config.backtest)
    table, trials = pl.DataFrame(runs), pl.concat(ledger)
    deflated = deflated_sharpe_table(pl.concat(equity), table, trials)
    return ControlRun(
        verdict=verdict(
            comparisons, deflated, table, _standing(deflated, comparisons, returns, config.backtest)
        ),
        comparisons=comparisons,
        deflated=deflated,
        trials=trials.with_columns(purpose=pl.lit("control")),
        rank_ic=rank_ic,
        n_returns=len(market.ts) - 1,
    )


def _standing(
    deflated: pl.DataFrame,
    comparisons: pl.DataFrame,
    returns: Mapping[str, np.ndarray],
    settings: BacktestSection,
) -> pl.DataFrame:
    """Which candidates are above 1/N with the search counted: ``trial_id`` and ``superior``.

    Where none is above it alone, none can survive, and the joint test is spared.
    """
    from btq_assets.evidence.superiority import superior_trials

    names = deflated["strategy"].to_list()
    alone = comparisons.filter(
        (pl.col("against") == REFERENCE) & pl.col("significant") & pl.col("strategy").is_in(names)
    )
    found: tuple[int, ...] = ()
    if alone.height:
        found = superior_trials(
            np.column_stack([returns[name] for name in names]),
            returns[REFERENCE],
            mean_block=settings.bootstrap_mean_block_sessions,
            n_samples=settings.bootstrap_samples,
            seed=settings.seed,
        )
    return deflated.select("trial_id").with_columns(
        superior=pl.Series([k in found for k in range(len(names))], dtype=pl.Boolean)
    )
