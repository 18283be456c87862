"""Low, normal and high volatility: GARCH(1,1) against expanding quantiles of its own past.

Belongs here: the fit on a schedule, the recursion and the thresholds. Does not belong here: GARCH as
a feature of each symbol (the features room).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.config.regimes import RegimesSection
from btq_assets.contracts.regimes import VOLATILITY_STATES
from btq_assets.regimes.markov import RegimeError
from btq_assets.regimes.panel import panel_of
from btq_assets.regimes.states import SESSIONS_PER_YEAR, refit_positions

#: Returns are fitted in per cent, in which parameters are usually told.
_PERCENT = 100.0


@dataclass(frozen=True)
class Garch:
    """Fitted GARCH(1,1), of returns in per cent: Bollerslev (1986), eq. 3.

    ``backcast`` is the variance before the first return of the window that was fitted.
    """

    mean: float
    omega: float
    alpha: float
    beta: float
    backcast: float


def fit_garch(returns: np.ndarray, max_iterations: int | None = None) -> Garch | None:
    """Normal maximum likelihood; ``None`` where it did not converge or nothing varies.

    The likelihood, the filter and its start are those of `arch`; the compiled fit is that of
    ``features.volatility_models``.

    Parameters
    ----------
    returns
        ``(T,)`` log returns, no NaN.
    max_iterations
        Of the optimiser; ``None`` for its own number.
    """
    if returns.std() < 1e-8:
        return None
    from btq_assets.features.kernels import garch, garch_fit

    scaled = returns * _PERCENT
    values = np.zeros(5)
    limit = garch_fit.MAX_ITERATIONS if max_iterations is None else max_iterations
    if not garch_fit.fit(garch.GARCH, scaled, values, limit):
        return None
    mean, omega, alpha, _, beta = values.tolist()
    return Garch(mean, omega, alpha, beta, float(garch.backcast_of(scaled)))


def volatility_states(
    bars: pl.DataFrame, universe: str, settings: RegimesSection | None = None
) -> pl.DataFrame:
    """Volatility expected for the next session, and where it lies in its own past.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    universe
        Universe whose equal-weight return is modelled.

    Returns
    -------
    polars.DataFrame
        Rows of ``regimes.volatility_states``, from the first fit that converged on.
    """
    settings = settings or RegimesSection()
    section = settings.volatility_states
    panel = panel_of(bars, universe)
    if not (settings.enable and section.enable) or panel.ts.is_empty():
        return VOLATILITY_STATES.empty()
    returns = panel.market
    refits = refit_positions(len(returns), settings)
    made: Garch | None = None
    fitted = first = 0
    columns: dict[str, list] = {"ts": [], "forecast": [], "fitted_until": [], "converged": []}
    for number, start in enumerate(refits):
        stop = refits[number + 1] if number + 1 < len(refits) else len(returns)
        begin = max(0, start + 1 - section.window_sessions)
        found = fit_garch(returns[begin : start + 1])
        if found is None and settings.on_failed_fit == "error":
            raise RegimeError(
                f"the GARCH fit of the window that ends {panel.ts[start]} failed; set "
                "regimes.on_failed_fit to previous or null"
            )
        if found is not None:
            made, fitted, first = found, start, begin
        if made is None:
            continue
        shown = found is not None or settings.on_failed_fit == "previous"
        ahead = next_volatility(returns[first:stop], made)[start - first :]
        columns["ts"] += panel.ts[start:stop].to_list()
        columns["forecast"] += ahead.tolist() if shown else [None] * (stop - start)
        columns["fitted_until"] += [panel.ts[fitted] if shown else None] * (stop - start)
        columns["converged"] += [found is not None] * (stop - start)
    if not columns["ts"]:
        return VOLATILITY_STATES.empty()
    forecast = np.array([math.nan if x is None else x for x in columns["forecast"]])
    low, high = past_quantiles(
        forecast, (section.low_quantile, section.high_quantile), section.min_history_sessions
    )
    state = np.select(
        [np.isnan(low), forecast < low, forecast > high], ["", "low", "high"], "normal"
    )
    return (
        pl.DataFrame(
            {
                "ts": pl.Series(columns["ts"], dtype=panel.ts.dtype),
                "volatility_forecast_annual": forecast,
                "low_threshold_annual": low,
                "high_threshold_annual": high,
                "state": state,
                "fitted_until": pl.Series(columns["fitted_until"], dtype=panel.ts.dtype),
                "converged": columns["converged"],
            }
        )
        .with_columns(
            pl.col(pl.Float64).fill_nan(None),
            state=pl.when(pl.col("state") != "").then(pl.col("state")),
            scope=pl.lit(universe),
        )
        .select(VOLATILITY_STATES.column_names)
    )


def next_volatility(returns: np.ndarray, made: Garch) -> np.ndarray:
    """``(T,)`` annualised volatility of the next session, known at each one.

    Parameters
    ----------
    returns
        ``(T,)`` log returns from the first of the fitted window on.
    """
    from btq_assets.features.kernels import garch

    values = np.array([made.mean, made.omega, made.alpha, 0.0, made.beta])
    variances = np.empty(returns.size + 1)
    garch.variances(garch.GARCH, values, returns * _PERCENT, made.backcast, variances)
    return np.sqrt(variances[1:] * SESSIONS_PER_YEAR) / _PERCENT


def past_quantiles(
    values: np.ndarray, levels: tuple[float, ...], min_history: int
) -> list[np.ndarray]:
    """Quantiles of all values before each one (itself left out), linear between order statistics.

    Parameters
    ----------
    values
        ``(T,)``; NaN is left out, and has no quantile.

    Returns
    -------
    list of numpy.ndarray
        ``(T,)`` for each level, NaN with fewer than `min_history` earlier values.
    """
    out = [np.full(values.size, np.nan) for _ in levels]
    past: list[float] = []
    for t, value in enumerate(values):
        if math.isnan(value):
            continue
        if len(past) >= max(min_history, 1):
            for quantile, level in zip(out, levels, strict=True):
                place = level * (len(past) - 1)
                below = int(place)
                above = min(below + 1, len(past) - 1)
                quantile[t] = past[below] + (place - below) * (past[above] - past[below])
        bisect.insort(past, value)
    return out
