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
    description="The return series of trials. Those of stresses, and of controls on made markets, have none: their configuration, data and seed make them again.",
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

DEFLATION_CURVES = TableContract(
    layer="evidence",
    name="deflation_curves",
    description="Deflated Sharpe ratio of each candidate had more or fewer trials been made, their Sharpe ratios varying as those in the ledger do.",
    columns=(
        STRATEGY,
        text("trial_id", "Trial."),
        count("n_trials", "Number of trials supposed."),
        flag("counted", "Whether it is the number counted in the ledger."),
        number("expected_maximum_sharpe", "Per-period Sharpe expected of the best of so many without skill.", nullable=False),
        number("deflated_sharpe", "Probability that the true Sharpe exceeds it.", nullable=False, minimum=0, maximum=1),
    ),
    key=("trial_id", "n_trials"),
)  # fmt: skip

OVERFITTING_RANKS = TableContract(
    layer="evidence",
    name="overfitting_ranks",
    description="Where the best candidate of one half of the days stood among all in the other half, over all splits: the distribution behind the probability of overfitting.",
    columns=(
        text("question", "Question the candidates compete for."),
        UNIVERSE,
        number("rank", "Its rank in the other half: 1 is worst, n_compared best, ties share their mean.", nullable=False, minimum=1),
        number("logit", "ln(w / (1 - w)) of w = rank / (n_compared + 1); at or below 0 is overfitting.", nullable=False),
        count("n_splits", "Splits in which it had that rank.", minimum=1),
        number("share", "The same as a share of all splits.", nullable=False, minimum=0, maximum=1),
        number("loss_share", "Share of all splits in which it had that rank and a negative Sharpe ratio there.", nullable=False, minimum=0, maximum=1),
    ),
    key=("question", "rank"),
)  # fmt: skip

SELECTION = TableContract(
    layer="evidence",
    name="selection",
    description="What choosing among the candidates of a question is worth: overfitting, superior ability, effective number of trials.",
    columns=(
        text("question", "Question the candidates compete for."),
        UNIVERSE,
        count("n_trials", "Candidates of the question in the ledger: at least this many were tried."),
        count("n_compared", "Newest version of each with returns that vary; what the tests compare."),
        count("n_returns", "Days all of them have."),
        number("years", "The same in years.", minimum=0),
        count("n_effective", "Clusters of their returns: independent attempts.", nullable=True, minimum=1),
        number("n_effective_spectral", "Exponential of the entropy of the eigenvalues of their correlation.", minimum=1),
        number("expected_maximum_sharpe_effective", "Per-period Sharpe expected of the best of n_effective attempts without skill."),
        number("minimum_backtest_years", "Years below which the best of n_trials without skill is expected to show an annual Sharpe of 1.", minimum=0),
        number("overfitting_probability", "Share of splits of the days in which the best candidate of one half ranks at or below the middle in the other.", minimum=0, maximum=1),
        count("overfitting_blocks", "Blocks the days were cut into.", nullable=True),
        count("overfitting_splits", "Splits made.", nullable=True),
        number("loss_probability", "Share of splits in which the chosen candidate loses in the other half.", minimum=0, maximum=1),
        number("degradation_slope", "Slope of its Sharpe in the other half on that in the first."),
        number("reality_check_p", "White's p-value of no candidate having a higher mean return than 1/N.", minimum=0, maximum=1),
        number("spa_lower_p", "Hansen's p-value, lower bound.", minimum=0, maximum=1),
        number("spa_consistent_p", "Hansen's p-value, the one to quote.", minimum=0, maximum=1),
        number("spa_upper_p", "Hansen's p-value, upper bound.", minimum=0, maximum=1),
        text("note", "Why figures are null, or empty."),
    ),
    key=("question",),
)  # fmt: skip

DISCOVERIES = TableContract(
    layer="evidence",
    name="discoveries",
    description="Standing of each candidate among those of its question, against 1/N.",
    columns=(
        text("trial_id", "Trial."),
        text("question", "Question it competes for."),
        STRATEGY,
        count("cluster", "Cluster of related candidates, numbered from 0.", nullable=True),
        number("p_value", "Probability of such a Sharpe ratio of the difference to 1/N, were the true one zero.", minimum=0, maximum=1),
        number("q_value", "Smallest false-discovery rate at which it would be a discovery (Benjamini & Yekutieli).", minimum=0, maximum=1),
        flag("superior", "In the set of superior candidates at a family-wise error of 5 % (Romano & Wolf).", nullable=True),
    ),
    key=("trial_id",),
)  # fmt: skip

SYMPTOMS = (
    "few_fills",
    "flat_equity",
    "stale_fills",
    "lucky_days",
    "lucky_symbol",
    "exposure_explains_return",
    "too_many_parameters",
    "too_good",
)

FINDINGS = TableContract(
    layer="evidence",
    name="findings",
    description="What is suspicious about a run; a finding is a question to answer, not a refusal.",
    columns=(
        text("run_id", "Run of the engine."),
        STRATEGY,
        text("symptom", "Name of the symptom.", allowed=SYMPTOMS),
        number("value", "Number that shows it.", nullable=False),
        number("threshold", "What it was held against.", nullable=False),
        text("detail", "One sentence."),
    ),
    key=("run_id", "symptom"),
)
