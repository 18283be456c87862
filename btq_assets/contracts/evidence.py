"""Ledgers of evidence: what was tried, what it returned, and which gates it passed."""

from __future__ import annotations

from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import STRATEGY, TS, UNIVERSE, count, flag, number, stamp, text

PURPOSES = ("candidate", "baseline", "control", "stress", "replica")

TRIALS = TableContract(
    layer="evidence",
    name="trials",
    description="Every fit, parameter set and backtest that yielded a return series. An identical re-run adds nothing.",
    columns=(
        text("trial_id", "Hash of configuration, data, seed and code version."),
        text("question", "Hash of universe, dates and frequency: trials of one question compete."),
        text("purpose", "Why it was run.", allowed=PURPOSES),
        STRATEGY,
        UNIVERSE,
        stamp("first_ts", "First return."),
        stamp("last_ts", "Last return."),
        count("n_returns", "Number of returns."),
        number(
            "sharpe_per_period",
            "Mean over standard deviation of the returns, per period, no risk-free rate.",
        ),
        number("skewness", "Skewness of the returns."),
        number("kurtosis", "Plain kurtosis of the returns (normal = 3)."),
        text("config_json", "Configuration of the trial."),
        text("data_hash", "Data version of what it was computed from."),
        text("code_version", "Hash of the code."),
        count("seed", "Seed."),
        text("run_id", "Dagster run, or 'notebook'."),
        stamp("recorded_at", "When it was first recorded, UTC."),
    ),
    key=("trial_id",),
    writer="ledger",
)

TRIAL_RETURNS = TableContract(
    layer="evidence",
    name="trial_returns",
    description="The return series of each trial.",
    columns=(
        text("trial_id", "Trial."),
        TS,
        number("net_return", "Simple return over the period, after costs.", nullable=False),
    ),
    key=("trial_id", "ts"),
    writer="ledger",
)

GATES = TableContract(
    layer="evidence",
    name="gates",
    description="Answers of the gates: truncation, purge, deflated Sharpe and their kin.",
    columns=(
        text("subject", "Table or strategy the gate examined."),
        text("gate", "Name of the gate."),
        text("run_id", "Dagster run."),
        flag("passed", "Whether it passed."),
        number("value", "Number the gate judged."),
        text("detail", "What was found."),
        stamp("recorded_at", "When, UTC."),
    ),
    key=("subject", "gate", "run_id"),
    writer="ledger",
)

DEFLATED_SHARPE = TableContract(
    layer="evidence",
    name="deflated_sharpe",
    description="Probabilistic and deflated Sharpe ratio of each candidate, the number of trials counted from the ledger.",
    columns=(
        STRATEGY,
        text("trial_id", "Trial."),
        text("question", "Question the trials compete for."),
        count(
            "n_trials", "Candidates of the question in the ledger: at least this many were tried."
        ),
        count("n_returns", "Number of returns."),
        number("sharpe_per_period", "Per-period Sharpe ratio; null for constant returns."),
        number(
            "expected_maximum_sharpe",
            "Sharpe expected of the best of n_trials without skill; null below 10 trials.",
        ),
        number(
            "probabilistic_sharpe",
            "Probability that the true Sharpe exceeds zero.",
            minimum=0,
            maximum=1,
        ),
        number(
            "deflated_sharpe",
            "Probability that the true Sharpe exceeds the expected maximum; null below 10 trials.",
            minimum=0,
            maximum=1,
        ),
        text("note", "Why a figure is null, or empty."),
    ),
    key=("trial_id",),
)
