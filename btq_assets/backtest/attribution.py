"""What of each run's return the returns of factors explain.

Belongs here: the regression and its rows. Does not belong here: where factor returns come from
(`factors`).

``r - rf = alpha + sum_k beta_k f_k + e`` by least squares over the periods that both have. Standard
errors are those of Newey and West (1987) with ``floor(4 (n / 100)^(2/9))`` lags (Newey and West,
1994) and the small-sample factor ``n / (n - k)``; t-values are held against Student's distribution
with ``n - k`` degrees of freedom. A month is explained only if the run has all of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from btq_assets.backtest.factors import Factors
from btq_assets.contracts import backtest as contracts

ALPHA = "alpha"

PERIODS = {"day": 252, "month": 12}

#: Fewer periods than this give no figures.
LEAST_PERIODS = {"day": 60, "month": 24}


@dataclass(frozen=True)
class Fit:
    """Regression of one run on one set of factors; alpha comes first.

    Attributes
    ----------
    coefficient, standard_error, t_value, p_value : float64[K + 1]
        Per period.
    r_squared, n, lags
        Of the whole regression.
    """

    coefficient: np.ndarray
    standard_error: np.ndarray
    t_value: np.ndarray
    p_value: np.ndarray
    r_squared: float
    n: int
    lags: int


def newey_west_lags(n: int) -> int:
    """Lags for `n` periods, ``floor(4 (n / 100)^(2/9))``."""
    return math.floor(4 * (n / 100) ** (2 / 9))


def regress(excess: np.ndarray, factors: np.ndarray) -> Fit | None:
    """Least squares with Newey-West errors; ``None`` where factors are collinear or constant.

    Parameters
    ----------
    excess
        Returns to explain, ``float64[n]``.
    factors
        ``float64[n, K]``.
    """
    from statsmodels.regression.linear_model import OLS

    n, k = factors.shape
    design = np.column_stack([np.ones(n), factors])
    if n <= k + 1 or np.linalg.matrix_rank(design) < k + 1 or np.ptp(excess) == 0.0:
        return None
    lags = newey_west_lags(n)
    found = OLS(excess, design).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True
    )
    return Fit(
        coefficient=np.asarray(found.params),
        standard_error=np.asarray(found.bse),
        t_value=np.asarray(found.tvalues),
        p_value=np.asarray(found.pvalues),
        r_squared=float(found.rsquared),
        n=n,
        lags=lags,
    )


def period_returns(equity: pl.DataFrame, frequency: str) -> pl.DataFrame:
    """Net returns of one run by session or by whole month: ``period``, ``value``, ``ts``.

    Parameters
    ----------
    equity
        Rows of `backtest.equity` of the run.
    frequency
        ``day`` or ``month``. The first month is left out, since the run begins in it, and so is the
        last one unless its last weekday is there.
    """
    daily = equity.sort("ts").select("ts", "net_return", period=pl.col("ts").dt.date())
    if frequency == "day":
        return daily.drop_nulls("net_return").rename({"net_return": "value"})
    months = (
        daily.with_columns(pl.col("period").dt.truncate("1mo"))
        .group_by("period")
        .agg(value=(1 + pl.col("net_return")).product() - 1, ts=pl.col("ts").max())
        .sort("period")[1:]
    )
    last = months["ts"].max()
    if last is None:
        return months
    assert isinstance(last, datetime)
    return months if _ends_month(last.date()) else months[:-1]


def _ends_month(day: date) -> bool:
    """Whether no weekday of the month is left; a holiday there only leaves a whole month out."""
    following = [day + timedelta(days=k) for k in range(1, 4)]
    return not any(d.month == day.month and d.weekday() < 5 for d in following)


def attribution_rows(equity: pl.DataFrame, models: Sequence[Factors]) -> pl.DataFrame:
    """Rows of `backtest.attribution`: every run on every set of factors.

    Parameters
    ----------
    equity
        `backtest.equity`.
    models
        Sets of factors.
    """
    frames = [contracts.ATTRIBUTION.empty()]
    for (run_id, strategy), own in equity.group_by("run_id", "strategy", maintain_order=True):
        for factors in models:
            rows = _rows(period_returns(own, factors.frequency), factors)
            frames.append(
                rows.with_columns(
                    run_id=pl.lit(run_id, pl.String), strategy=pl.lit(strategy, pl.String)
                )
                .select(contracts.ATTRIBUTION.column_names)
                .cast(contracts.ATTRIBUTION.schema)
            )
    return pl.concat(frames).sort(contracts.ATTRIBUTION.key)


def _rows(returns: pl.DataFrame, factors: Factors) -> pl.DataFrame:
    place = pl.DataFrame({"period": factors.period}).with_row_index("at")
    both = returns.join(place, on="period", how="inner").sort("period")
    at = both["at"].to_numpy()
    x, y = factors.returns[at], both["value"].to_numpy() - factors.risk_free[at]
    year, least = PERIODS[factors.frequency], LEAST_PERIODS[factors.frequency]
    common = {
        "model": factors.model,
        "n": both.height,
        "frequency": factors.frequency,
        "first_ts": both["ts"].min(),
        "last_ts": both["ts"].max(),
    }
    fit = regress(y, x) if both.height >= least else None
    if fit is None:
        why = (
            f"{both.height} {factors.frequency}s in common, at least {least} are needed"
            if both.height < least
            else "the returns are constant, or the factors are not independent"
        )
        nothing = dict.fromkeys(
            ("coefficient", "standard_error", "t_value", "p_value", "contribution_annual"), None
        )
        return pl.DataFrame(
            [common | nothing | {"factor": ALPHA, "r_squared": None, "lags": 0, "note": why}]
        )
    scale = np.array([year, *np.ones(len(factors.names))])
    mean = np.array([1.0, *x.mean(axis=0)]) * year
    return pl.DataFrame(
        {
            "factor": [ALPHA, *factors.names],
            "coefficient": fit.coefficient * scale,
            "standard_error": fit.standard_error * scale,
            "t_value": fit.t_value,
            "p_value": fit.p_value,
            "contribution_annual": fit.coefficient * mean,
        }
    ).with_columns(
        r_squared=pl.lit(fit.r_squared),
        lags=pl.lit(fit.lags),
        note=pl.lit(factors.note),
        **{name: pl.lit(value) for name, value in common.items()},
    )
