"""Mart tables, built by dbt: what people query first."""

from __future__ import annotations

from btq_assets.contracts import models, portfolio
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.columns import (
    RUN_ID,
    STRATEGY,
    TS,
    UNIVERSE,
    count,
    day,
    flag,
    number,
    stamp,
    text,
)

ROLES = ("candidate", "baseline", "benchmark")

FEATURE_REPORT = TableContract(
    layer="mart",
    name="feature_report",
    description="Every feature of every universe: what it is, how much of it there is, how far it has drifted, what repeats it, and how much the models leaned on it.",
    columns=(
        UNIVERSE,
        text("freq", "Bar length the feature is computed at."),
        text("feature", "Column name."),
        text("family", "Family, the name of its table."),
        text("formula", "Definition one can recompute by hand."),
        text("unit", "Unit of the value."),
        text("requires", "Richest kind of data it reads."),
        flag("enabled", "Whether the configuration has it switched on."),
        number("missing_share", "Share of rows without a value, 0 to 1.", minimum=0, maximum=1),
        stamp("first_ts", "First bar with a value.", nullable=True),
        stamp("last_ts", "Last bar with a value.", nullable=True),
        number(
            "psi",
            "Population stability index of the last 252 sessions against the training window.",
            minimum=0,
        ),
        number(
            "ks_statistic", "Largest gap of the two distribution functions.", minimum=0, maximum=1
        ),
        text("cluster", "Representative of the features that say the same.", nullable=True),
        count("cluster_size", "Features in that cluster."),
        text("nearest_feature", "Feature most like it.", nullable=True),
        number(
            "nearest_correlation",
            "Spearman correlation with that one.",
            minimum=-1.000001,
            maximum=1.000001,
        ),
        number(
            "importance_ridge",
            "Mean share of the absolute coefficients over fits that were offered it; null where none was.",
            minimum=0,
            maximum=1.000001,
        ),
        number(
            "importance_lightgbm",
            "Mean share of the gain over fits that were offered it; null where none was.",
            minimum=0,
            maximum=1.000001,
        ),
        count("n_fits", "Fits of both models that were offered it."),
    ),
    key=("universe", "freq", "feature"),
    writer="dbt",
    owner="team:research",
    kinds=("duckdb", "dbt"),
)

LEADERBOARD = TableContract(
    layer="mart",
    name="leaderboard",
    description="One row per strategy: main figures after costs, deflated Sharpe, paired differences to 1/N and to the best baseline. The benchmark index is shown beside them and is not comparable.",
    columns=(
        STRATEGY,
        RUN_ID,
        UNIVERSE,
        text("role", "candidate, baseline or benchmark.", allowed=ROLES),
        flag(
            "comparable",
            "Whether universe, first and last bar are those of 1/N. The benchmark never is: a price index has no dividends and pays no costs.",
        ),
        stamp("first_ts", "First bar."),
        stamp("last_ts", "Last bar."),
        count("n_returns", "Daily returns the figures rest on."),
        number("annual_return", "Compound annual growth, a fraction."),
        number("annual_volatility", "Annualised volatility, a fraction.", minimum=0),
        number("sharpe", "Annualised Sharpe ratio, risk-free rate zero."),
        number("sharpe_ci_low", "Lower end of its 95 % block-bootstrap interval."),
        number("sharpe_ci_high", "Upper end of the interval."),
        number("sortino", "Annualised Sortino ratio."),
        number("calmar", "Annual return over maximum drawdown."),
        number("max_drawdown", "Deepest fall from a peak, a positive fraction.", minimum=0),
        number(
            "win_rate",
            "Share of winners as defined by the metric of that name.",
            minimum=0,
            maximum=1,
        ),
        number("turnover_annual", "Traded value over equity per year, both sides.", minimum=0),
        number("information_ratio", "Annualised active return over 1/N per unit of its deviation."),
        number("beta", "Slope on 1/N."),
        number("alpha_annual", "Jensen's alpha against 1/N, a year."),
        number("alpha_annual_ci_low", "Lower end of its 95 % block-bootstrap interval."),
        number("alpha_annual_ci_high", "Upper end of the interval."),
        number(
            "factor_alpha_annual",
            "Mean return a year that market, momentum and low volatility of the universe leave unexplained.",
        ),
        number("factor_alpha_t_value", "It over its Newey-West standard error."),
        number("cvar_95", "Mean of the worst 5 % of sessions, a loss."),
        number(
            "longest_underwater_sessions",
            "Sessions of the longest spell below an earlier peak.",
            minimum=0,
        ),
        number(
            "trip_profit_factor", "Gross profit over gross loss of closed round trips.", minimum=0
        ),
        number(
            "holding_sessions",
            "Mean holding time of closed round trips, by entry value.",
            minimum=0,
        ),
        number(
            "break_even_cost_bps",
            "Flat cost of traded value at which the mean net return is zero.",
        ),
        number(
            "capacity",
            "Initial cash at which impact makes the mean net return zero, currency; null where volume or volatility is unknown, and the note says so.",
            minimum=0,
        ),
        count(
            "n_trials", "Candidates tried for the same question: at least this many.", nullable=True
        ),
        number(
            "probabilistic_sharpe",
            "Probability that the true Sharpe exceeds zero.",
            minimum=0,
            maximum=1,
        ),
        number(
            "deflated_sharpe",
            "Probability that the true Sharpe exceeds the best expected without skill; null below 10 trials.",
            minimum=0,
            maximum=1,
        ),
        number("difference_to_one_over_n_annual", "Mean daily difference to 1/N times 252."),
        number("difference_to_one_over_n_ci_low", "Lower end of its 95 % interval."),
        number("difference_to_one_over_n_ci_high", "Upper end of the interval."),
        flag(
            "beats_one_over_n",
            "Whether that interval lies above zero; null where there is no such comparison.",
            nullable=True,
        ),
        text(
            "best_baseline",
            "Baseline with the highest Sharpe ratio on the same bars.",
            nullable=True,
        ),
        number("difference_to_best_baseline_annual", "Mean daily difference to it times 252."),
        number("difference_to_best_baseline_ci_low", "Lower end of its 95 % interval."),
        number("difference_to_best_baseline_ci_high", "Upper end of the interval."),
        text("note", "Why a figure is null or not comparable; empty otherwise."),
    ),
    key=("strategy",),
    writer="dbt",
    kinds=("duckdb", "dbt"),
)

PERFORMANCE = TableContract(
    layer="mart",
    name="performance",
    description="Monthly returns of each strategy after costs, and of the benchmark index beside them.",
    columns=(
        STRATEGY,
        text("role", "candidate, baseline or benchmark.", allowed=ROLES),
        day("month", "First day of the month."),
        number(
            "monthly_return",
            "Compounded return of the month's sessions; the first month starts at the first bar.",
            nullable=False,
            minimum=-1,
        ),
        number(
            "excess_return", "The same less that of 1/N; null for 1/N itself and for the index."
        ),
        number(
            "max_drawdown",
            "Largest fall from a peak within the month; null for the index.",
            minimum=0,
            maximum=1,
        ),
        count("n_sessions", "Sessions with a return in the month.", minimum=1),
        number("turnover", "Traded value over equity in the month.", minimum=0),
    ),
    key=("strategy", "month"),
    writer="dbt",
    kinds=("duckdb", "dbt"),
)

RISK_TODAY = TableContract(
    layer="mart",
    name="risk_today",
    description="The newest risk measures of each strategy, beside how the same measure fared against the returns that followed it.",
    columns=(
        STRATEGY,
        TS,
        text("measure", "var or cvar."),
        text("method", "How it is computed."),
        number("level", "Confidence level.", nullable=False, minimum=0.5, maximum=1),
        number(
            "value", "Loss over one session, a positive fraction of equity; null where invalid."
        ),
        flag("valid", "Whether the method holds at this date."),
        count("n_window", "Returns in the window."),
        count("n_tested", "Sessions the measure was tested on; null for cvar.", nullable=True),
        number("expected_exceedances", "Exceedances expected at the level.", minimum=0),
        count("observed_exceedances", "Exceedances observed.", nullable=True),
        number("kupiec_p", "p-value of Kupiec's (1995) test.", minimum=0, maximum=1),
    ),
    key=("strategy", "measure", "method", "level"),
    writer="dbt",
    kinds=("duckdb", "dbt"),
)

DATA_HEALTH = TableContract(
    layer="mart",
    name="data_health",
    description="Every table upstream of the marts: whether it is there, how far it reaches and should reach, what is missing, late, corrected, repaired and refused.",
    columns=(
        text("table_name", "Table, as schema.table."),
        text("layer", "Schema."),
        flag("present", "Whether the table exists; optional tables may be switched off."),
        count("n_rows", "Rows."),
        count("n_columns", "Columns its contract declares."),
        stamp("first_at", "Earliest value of its time column; null without one.", nullable=True),
        stamp("last_at", "Latest value of its time column.", nullable=True),
        count("n_null_cells", "Missing values over all columns."),
        number(
            "null_fraction",
            "Share of values that are missing; null for an empty table.",
            minimum=0,
            maximum=1,
        ),
        text(
            "emptiest_column",
            "Column with most missing values; null where nothing is missing.",
            nullable=True,
        ),
        flag("enabled", "Whether the configuration has the table's source on; true for others."),
        stamp(
            "expected_last_at",
            "Where a live table should reach by now: the last session of its calendars, or by its own rhythm, or for a stream an hour ago; null for others.",
            nullable=True,
        ),
        count(
            "n_missing_sessions",
            "Sessions without a bar between first and last bar, over daily series; null where that means nothing.",
            nullable=True,
        ),
        text("emptiest_series", "Series with most missing sessions; null without.", nullable=True),
        count(
            "n_late",
            "Rows first known much later than is usual for the table; null where nothing is recorded.",
            nullable=True,
        ),
        count("n_corrected", "Vintages that replaced an earlier one.", nullable=True),
        count(
            "n_gaps",
            "Holes on record in a live stream, filled ones included; null for other tables.",
            nullable=True,
        ),
        number(
            "lost_seconds",
            "Time in those that were not filled, from the last message before to the first after, over all symbols.",
            minimum=0,
        ),
        count("n_quarantined", "Rows meant for the table that were refused, over all runs."),
        count("n_repairs_proposed", "Repairs proposed, one a column and span."),
        count("n_repairs_applied", "Repairs applied on the way to core."),
        text(
            "status",
            "The worst of it: absent, off, empty, behind, holes or ok.",
            allowed=("absent", "off", "empty", "behind", "holes", "ok"),
        ),
    ),
    key=("table_name",),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

FORECASTS = TableContract(
    layer="mart",
    name="forecasts",
    description="Out-of-sample forecasts of every model in one table.",
    columns=(text("model", "Model family."), *models.FORECASTS_RIDGE.columns),
    key=("model", *models.FORECASTS_RIDGE.key),
    writer="dbt",
    kinds=("duckdb", "dbt"),
)

TARGETS = TableContract(
    layer="mart",
    name="targets",
    description="Target weights of every strategy in one table.",
    columns=(
        text("family", "Table of the portfolio room, without its prefix."),
        *portfolio.TARGETS_RANK.columns,
    ),
    key=portfolio.TARGETS_RANK.key,
    writer="dbt",
    kinds=("duckdb", "dbt"),
)
