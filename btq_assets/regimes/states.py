"""Market states of a universe through time, refitted on a schedule of sessions.

Belongs here: which window is fitted when, and turning probabilities into rows. Does not belong
here: the model (`markov`), and what to do in a state (`portfolio`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.config import RegimesSection
from btq_assets.contracts.regimes import STATES
from btq_assets.regimes.markov import Parameters, RegimeError, filtered_probabilities, fit

SESSIONS_PER_YEAR = 252
TREND_SESSIONS = 252
#: Trailing log return beyond which the year counts as bull or bear.
TREND_BAND = 0.05


@dataclass(frozen=True)
class Fit:
    """A fit and the window it saw: positions of the first and last return, both included."""

    first: int
    last: int
    parameters: Parameters


def equal_weight_returns(bars: pl.DataFrame, universe: str) -> pl.DataFrame:
    """Equal-weight log return of a universe per session.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    universe
        Universe wanted.

    Returns
    -------
    polars.DataFrame
        ``ts`` and ``log_return`` (log of 1 plus the mean simple return of the symbols present),
        ascending; sessions without any return are absent.
    """
    price = pl.col("adj_close")
    return (
        bars.filter(pl.col("universe") == universe)
        .sort("symbol", "ts")
        .with_columns(_return=price / price.shift(1).over("symbol") - 1)
        .filter(pl.col("_return").is_finite())
        # Summed in one order whatever order the bars came in.
        .sort("ts", "symbol")
        .group_by("ts", maintain_order=True)
        .agg(log_return=(1 + pl.col("_return").mean()).log())
    )


def trend(returns: np.ndarray) -> np.ndarray:
    """Bull, bear or sideways: the log return of the 252 sessions up to each one.

    Parameters
    ----------
    returns
        ``(T,)`` log returns.

    Returns
    -------
    numpy.ndarray
        ``(T,)`` words; shorter histories are judged by what they have.
    """
    total = np.concatenate([[0.0], np.cumsum(returns)])
    ends = np.arange(1, total.size)
    year = total[ends] - total[np.maximum(ends - TREND_SESSIONS, 0)]
    return np.select([year > TREND_BAND, year < -TREND_BAND], ["bull", "bear"], "sideways")


def refit_positions(n_returns: int, settings: RegimesSection) -> list[int]:
    """Positions of the returns after which the model is refitted.

    Counted from the first return, so that cutting the end of the data moves none of them.
    """
    return list(range(settings.min_fit_sessions - 1, n_returns, settings.refit_every_sessions))


def market_states(
    bars: pl.DataFrame,
    universe: str,
    settings: RegimesSection | None = None,
    *,
    last_sessions: int | None = None,
) -> pl.DataFrame:
    """Filtered state probabilities of a universe.

    After every refit the filter starts afresh at the beginning of the fit window with the new
    parameters, and runs on unchanged until the next refit. A fit that does not converge leaves
    the previous one in force, and the rows say so.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    universe
        Universe whose equal-weight return is modelled.
    settings
        Refit schedule and windows; a disabled section gives no rows.
    last_sessions
        Compute only the last so many rows, with as few fits as they need; same numbers.

    Returns
    -------
    polars.DataFrame
        Rows of ``regimes.states``, from the first fit that converged on.

    Raises
    ------
    RegimeError
        The universe has no bars.
    """
    settings = settings or RegimesSection()
    if not settings.enable:
        return STATES.empty()
    series = equal_weight_returns(bars, universe)
    if series.is_empty():
        raise RegimeError(f"no returns of universe {universe!r} in the bars")
    returns = series["log_return"].to_numpy()
    refits = refit_positions(len(returns), settings)
    fits = _Fits(returns, settings)
    frames = []
    for number, start in enumerate(refits):
        stop = refits[number + 1] if number + 1 < len(refits) else len(returns)
        if last_sessions is not None and stop <= len(returns) - last_sessions:
            continue
        in_force = fits.in_force(refits[: number + 1])
        if in_force is not None:
            frames.append(_segment(series, universe, in_force, start, stop))
    if not frames:
        return STATES.empty()
    rows = pl.concat(frames).select(STATES.column_names)
    return rows if last_sessions is None else rows.tail(last_sessions)


class _Fits:
    """Fits by refit position, each made at most once."""

    def __init__(self, returns: np.ndarray, settings: RegimesSection) -> None:
        self._returns = returns
        self._window = settings.fit_window_sessions
        self._made: dict[int, Fit | None] = {}

    def in_force(self, scheduled: list[int]) -> tuple[Fit, bool] | None:
        """Newest converged fit among `scheduled`, and whether it is the last one scheduled."""
        for position in reversed(scheduled):
            found = self._at(position)
            if found is not None:
                return found, position == scheduled[-1]
        return None

    def _at(self, position: int) -> Fit | None:
        if position not in self._made:
            first = max(0, position + 1 - self._window)
            parameters = fit(self._returns[first : position + 1])
            self._made[position] = None if parameters is None else Fit(first, position, parameters)
        return self._made[position]


def _segment(
    series: pl.DataFrame, universe: str, in_force: tuple[Fit, bool], start: int, stop: int
) -> pl.DataFrame:
    """Rows from `start` to `stop` (excluded) under one fit."""
    made, converged = in_force
    returns = series["log_return"].to_numpy()
    turbulent = filtered_probabilities(returns[made.first : stop], made.parameters)[
        start - made.first :, 1
    ]
    volatility = np.sqrt(made.parameters.variances * SESSIONS_PER_YEAR)
    return pl.DataFrame(
        {
            "ts": series["ts"][start:stop],
            "p_calm": 1.0 - turbulent,
            "p_turbulent": turbulent,
            "state": np.where(turbulent > 0.5, "turbulent", "calm"),
            "trend": trend(returns)[start:stop],
        }
    ).with_columns(
        scope=pl.lit(universe),
        calm_volatility_annual=pl.lit(float(volatility[0])),
        turbulent_volatility_annual=pl.lit(float(volatility[1])),
        fitted_until=pl.lit(series["ts"][made.last], dtype=series.schema["ts"]),
        converged=pl.lit(converged),
    )
