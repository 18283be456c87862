"""Tables of the fair comparison: what every architecture forecast, and how it did against the others."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from btq_assets.contracts import models
from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import (
    HORIZON,
    STRATEGY,
    TS,
    UNIVERSE,
    count,
    number,
    stamp,
    text,
)

_PREFIX = "forecasts_"
_MODEL = text("model", "Architecture, by its name in the catalogue.")
_WITHOUT = text("without", "Component left out: a part of the network, or a family of features.")


def _compared(forecasts: TableContract) -> TableContract:
    model = forecasts.name.removeprefix(_PREFIX)
    return replace(
        forecasts,
        name=f"compared_{model}",
        description=f"Forecasts out of sample of {model} for the comparison: every seed, on the folds all architectures share.",
    )


def _ablated(forecasts: TableContract) -> TableContract:
    model = forecasts.name.removeprefix(_PREFIX)
    return replace(
        forecasts,
        name=f"ablated_{model}",
        description=f"Forecasts out of sample of {model} fitted without one of its components, on the same folds and seeds.",
        columns=(*forecasts.columns, _WITHOUT),
        key=(*forecasts.key, "without"),
    )


_FORECASTS = {
    contract.name.removeprefix(_PREFIX): contract
    for contract in vars(models).values()
    if isinstance(contract, TableContract) and contract.name.startswith(_PREFIX)
}

#: Forecasts of every architecture, by its name: one table each, so that one step makes it.
COMPARED = {model: _compared(contract) for model, contract in _FORECASTS.items()}

#: The same without components.
ABLATED = {model: _ablated(contract) for model, contract in _FORECASTS.items()}

FITS = TableContract(
    layer="models",
    name="comparison_fits",
    description="Every fit of the comparison: what it took and what it had learnt. Times are those of the machine it ran on.",
    columns=(
        UNIVERSE,
        _MODEL,
        text("without", "Component left out; 'nothing' where it is whole."),
        count("seed", "Seed of the fit."),
        count("fold", "Walk-forward fold."),
        number("seconds", "From the start of the fit to its last forecast, by the clock.", minimum=0),
        number("processor_seconds", "Of the processor, in the meantime.", minimum=0),
        count("n_parameters", "Numbers it learnt."),
        count("n_columns", "Feature columns it read."),
        number("validation_rank_ic", "Mean rank correlation in its validation segment."),
        stamp("fitted_until", "Last fill behind any label it was fitted on."),
        text("device", "Where it was fitted."),
        text("code_version", "Hash of the code."),
        stamp("recorded_at", "When, UTC."),
    ),
    key=("universe", "model", "without", "seed", "fold"),
    writer="ledger",
)  # fmt: skip

RETURNS = TableContract(
    layer="backtest",
    name="comparison_returns",
    description="Every architecture and seed through the engine: the rank portfolio of its forecasts, same bars, same costs.",
    columns=(
        STRATEGY,
        UNIVERSE,
        _MODEL,
        count("seed", "Seed of the fits."),
        TS,
        number("net_return", "Simple return of the session, after costs.", nullable=False),
        number("turnover", "Value traded over equity.", nullable=False, minimum=0),
        number("cost", "Costs over the equity before.", nullable=False, minimum=0),
    ),
    key=("strategy", "ts"),
)

COMPARISON = TableContract(
    layer="models",
    name="comparison",
    description="Every architecture on the same folds, mean and spread over seeds: correlations with what followed, calibration, the rank portfolio after costs, what it took. Sorted by nothing; whoever wins stands in it.",
    columns=(
        UNIVERSE,
        _MODEL,
        count("n_seeds", "Seeds fitted; 1 for what has no randomness.", minimum=1),
        count("n_decisions", "Decisions with a label, forecasts and a rank correlation."),
        number("ic", "Pearson correlation of forecast and label across assets, mean over decisions and seeds.", nullable=False),
        number("rank_ic", "Spearman correlation, the same.", nullable=False),
        number("rank_ic_low", "Lower end of its 95 % interval, stationary block bootstrap over decisions.", nullable=False),
        number("rank_ic_high", "Upper end.", nullable=False),
        number("rank_ic_spread", "Standard deviation over seeds; null for a single one.", minimum=0),
        number("rank_ic_of_mean", "Rank correlation of the forecasts averaged over seeds, as strategies use them.", nullable=False),
        number("icir", "Mean over standard deviation of the rank correlations of decisions, mean over seeds.", nullable=False),
        number("icir_spread", "Its standard deviation over seeds.", minimum=0),
        number("calibration_intercept", "Intercept of the labels regressed on the forecasts, mean over seeds.", nullable=False),
        number("calibration_slope", "Its slope; 1 is calibrated, below 1 overstated.", nullable=False),
        number("relative_slope", "Slope on forecasts less the mean of their date, mean over seeds.", nullable=False),
        number("relative_slope_low", "Lower end of its 95 % interval.", nullable=False),
        number("relative_slope_high", "Upper end.", nullable=False),
        number("coverage_90", "Share of labels between the quantiles at 5 % and 95 %; null without a distribution.", minimum=0, maximum=1),
        number("calibration_gap", "Largest difference of the share of labels below a quantile and its probability.", minimum=0, maximum=1),
        number("sharpe", "Annual Sharpe ratio of the rank portfolio after costs, mean over seeds.", nullable=False),
        number("sharpe_spread", "Its standard deviation over seeds.", minimum=0),
        number("turnover_annual", "Value traded over equity a year, mean over seeds.", nullable=False, minimum=0),
        number("cost_annual", "Costs over equity a year, mean over seeds.", nullable=False, minimum=0),
        count("n_trials", "Candidates counted in the ledger for the same question, every architecture and seed among them."),
        number("deflated_sharpe", "Highest deflated Sharpe ratio of its seeds; null below 10 trials.", minimum=0, maximum=1),
        number("seconds", "To fit and forecast all folds of one seed, by the clock, mean over seeds.", minimum=0),
        number("processor_seconds", "The same of the processor.", minimum=0),
        count("n_parameters", "Numbers learnt in the last fold, mean over seeds, rounded.", nullable=True),
        count("n_columns", "Feature columns read in the last fold.", nullable=True),
    ),
    key=("universe", "model"),
    rules=(
        RowRule(
            "spread_without_seeds",
            (pl.col("n_seeds") > 1) != pl.col("rank_ic_spread").is_not_null(),
        ),
        RowRule(
            "mean_outside_its_interval",
            (pl.col("rank_ic_low") > pl.col("rank_ic_high")),
        ),
    ),
)  # fmt: skip

SEEDS = TableContract(
    layer="models",
    name="comparison_seeds",
    description="The same by seed.",
    columns=(
        UNIVERSE,
        _MODEL,
        count("seed", "Seed of the fits."),
        number("ic", "Mean Pearson correlation.", nullable=False),
        number("rank_ic", "Mean Spearman correlation.", nullable=False),
        number("icir", "Mean over standard deviation of the rank correlations.", nullable=False),
        number("calibration_intercept", "Intercept of labels on forecasts.", nullable=False),
        number("calibration_slope", "Slope of labels on forecasts.", nullable=False),
        number("relative_slope", "Slope on forecasts less the mean of their date.", nullable=False),
        number("sharpe", "Annual Sharpe ratio of the rank portfolio after costs.", nullable=False),
        number("turnover_annual", "Value traded over equity a year.", nullable=False, minimum=0),
        number("cost_annual", "Costs over equity a year.", nullable=False, minimum=0),
        text("trial_id", "Its trial in the ledger."),
        number("deflated_sharpe", "Deflated Sharpe ratio; null below 10 trials.", minimum=0, maximum=1),
    ),
    key=("universe", "model", "seed"),
)  # fmt: skip

DECAY = TableContract(
    layer="models",
    name="comparison_decay",
    description="How long a forecast stays right: its rank correlation with the relative return from the same fill over other horizons.",
    columns=(
        UNIVERSE,
        _MODEL,
        HORIZON,
        count("n_decisions", "Decisions with returns filled over the horizon."),
        number("rank_ic", "Mean over decisions and seeds.", nullable=False),
        number("rank_ic_low", "Lower end of its 95 % interval.", nullable=False),
        number("rank_ic_high", "Upper end.", nullable=False),
        number("rank_ic_spread", "Standard deviation over seeds; null for a single one.", minimum=0),
    ),
    key=("universe", "model", "horizon_sessions"),
)  # fmt: skip

MEASURES = ("rank_ic", "net_return_annual")

PAIRS = TableContract(
    layer="models",
    name="comparison_pairs",
    description="Every architecture against ridge and against LightGBM on the same decisions and days: mean over seeds, paired stationary block bootstrap.",
    columns=(
        UNIVERSE,
        _MODEL,
        text("against", "Reference.", allowed=("ridge", "lightgbm")),
        text("measure", "rank_ic, by decision; net_return_annual, mean daily net return times 252.", allowed=MEASURES),
        count("n", "Decisions or days both have."),
        number("difference", "Mean of the architecture less that of the reference.", nullable=False),
        number("ci_low", "Lower end of its 95 % interval.", nullable=False),
        number("ci_high", "Upper end.", nullable=False),
        number("p_value", "Probability of so large a difference, were there none: two-sided, from the centred resamples.", nullable=False, minimum=0, maximum=1),
        number("p_adjusted", "The same with all pairs of the measure counted (Holm 1979).", nullable=False, minimum=0, maximum=1),
        text("verdict", "better or worse where the adjusted p-value is at most 5 %.", allowed=("better", "worse", "not shown")),
    ),
    key=("universe", "model", "against", "measure"),
    rules=(
        RowRule(
            "verdict_against_its_p_value",
            ((pl.col("verdict") != "not shown") != (pl.col("p_adjusted") <= 0.05))
            | ((pl.col("verdict") == "better") & (pl.col("difference") < 0))
            | ((pl.col("verdict") == "worse") & (pl.col("difference") > 0)),
        ),
    ),
)  # fmt: skip

VERDICTS = ("shown", "costs", "not shown", "nothing to leave out")

ABLATIONS = TableContract(
    layer="models",
    name="comparison_ablations",
    description="What a component is worth to an architecture: rank correlation of the whole less that of the same fitted without it, on the same folds and seeds.",
    columns=(
        UNIVERSE,
        _MODEL,
        _WITHOUT,
        count("n_seeds", "Seeds fitted both ways."),
        count("n_decisions", "Decisions with both correlations."),
        number("rank_ic_with", "Mean rank correlation of the whole; null where nothing could be left out."),
        number("rank_ic_without", "The same without the component."),
        number("difference", "With less without."),
        number("ci_low", "Lower end of its 95 % interval, paired block bootstrap."),
        number("ci_high", "Upper end."),
        text("verdict", "shown or costs where the interval lies wholly above or below zero; nothing to leave out where the architecture does not have it.", allowed=VERDICTS),
        text("why", "Why nothing could be left out; empty elsewhere."),
    ),
    key=("universe", "model", "without"),
    rules=(
        RowRule(
            "verdict_against_its_interval",
            ((pl.col("verdict") == "shown") != (pl.col("ci_low") > 0).fill_null(False))
            | ((pl.col("verdict") == "costs") != (pl.col("ci_high") < 0).fill_null(False)),
        ),
        RowRule(
            "left_out_without_a_number",
            (pl.col("verdict") == "nothing to leave out") != pl.col("difference").is_null(),
        ),
    ),
)  # fmt: skip
