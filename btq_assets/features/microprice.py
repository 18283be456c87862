"""Micro-price of Stoikov (2018): the mid price plus what imbalance and spread say of its next moves.

Belongs here: states of the best quotes, the chain they form, the adjustment that makes the price a
martingale, and its estimate from past days. Does not belong here: bars (`tick_bars`).

A quote is in a state: one of ten imbalances ``I = qb / (qb + qa)`` and one of three spreads, in units
of the usual smallest one. From state ``x`` the next quote is in ``y`` with probability ``P(x, y)`` and
the log mid price moves by ``r(x)`` on average. Stoikov's adjustment, the sum of the expected moves to
come (his theorem 3.1), is the ``g`` with ``g = r + P g``. Each transition counts with its mirror
image, bid and ask exchanged (his section 4), so that ``g`` changes sign with the imbalance; that
picks it among the solutions, which differ by a constant.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

N_IMBALANCES, N_SPREADS = 10, 3
N_STATES = N_IMBALANCES * N_SPREADS

#: Transitions, mirror images included, from a state before anything is said of it.
LEAST_LEAVING = 20

#: The unit of spreads: so many of the first day's were smaller.
_UNIT_QUANTILE = 0.05

#: How well the equation must hold, in log price, beside its right side.
_SOLVED = 1e-8

#: Each state with bid and ask exchanged.
MIRROR = np.concatenate(
    [
        np.arange((spread + 1) * N_IMBALANCES - 1, spread * N_IMBALANCES - 1, -1)
        for spread in range(N_SPREADS)
    ]
)

Array = NDArray[np.float64]
Places = NDArray[np.int64]


def states(spread: Array, bid_quantity: Array, ask_quantity: Array, spread_unit: float) -> Places:
    """State of each quote; -1 where it has none (crossed, empty or missing).

    Parameters
    ----------
    spread
        Ask less bid, in units of price.
    bid_quantity, ask_quantity
        Quantities at the best prices.
    spread_unit
        Spread that counts as one.
    """
    size = bid_quantity + ask_quantity
    with np.errstate(all="ignore"):
        imbalance = np.floor(bid_quantity / size * N_IMBALANCES).clip(0, N_IMBALANCES - 1)
        wide = np.rint(spread / spread_unit).clip(1, N_SPREADS) - 1
        known = (spread > 0) & (size > 0) & (bid_quantity >= 0) & (ask_quantity >= 0)
        known &= np.isfinite(size) & np.isfinite(spread)
        return np.where(known, wide * N_IMBALANCES + imbalance, -1).astype(np.int64)


def transitions(state: Places, log_mid: Array, follows: NDArray[np.bool_]) -> tuple[Array, Array]:
    """How often each state followed each, and the moves of the log mid price on the way.

    Parameters
    ----------
    state, log_mid
        Of quotes in their order.
    follows
        Whether a quote follows the one before it at once.

    Returns
    -------
    tuple of ndarray
        Counts and sums of moves, ``(N_STATES, N_STATES)``, from the row's state to the column's.
    """
    used = follows[1:] & (state[1:] >= 0) & (state[:-1] >= 0)
    place = state[:-1][used] * N_STATES + state[1:][used]
    shape = (N_STATES, N_STATES)
    counts = np.bincount(place, minlength=N_STATES**2).reshape(shape).astype(float)
    moves = np.bincount(place, np.diff(log_mid)[used], minlength=N_STATES**2).astype(float)
    return counts, moves.reshape(shape)


def adjustment(counts: Array, moves: Array) -> Array:
    """What each state adds to the log mid price; NaN where too little is known.

    Parameters
    ----------
    counts, moves
        As `transitions` gives them.
    """
    counts = counts + counts[np.ix_(MIRROR, MIRROR)]
    moves = moves - moves[np.ix_(MIRROR, MIRROR)]
    found = np.full(N_STATES, np.nan)
    kept = np.flatnonzero(counts.sum(axis=1) >= LEAST_LEAVING)
    # A state left out takes the transitions to it along, which may leave others with too few.
    while kept.size:
        leaving = counts[np.ix_(kept, kept)].sum(axis=1)
        if (leaving >= LEAST_LEAVING).all():
            break
        kept = kept[leaving >= LEAST_LEAVING]
    if not kept.size:
        return found
    inside = np.ix_(kept, kept)
    leaving = counts[inside].sum(axis=1)
    expected = moves[inside].sum(axis=1) / leaving
    equation = np.eye(kept.size) - counts[inside] / leaving[:, None]
    solution = np.linalg.lstsq(equation, expected, rcond=1e-10)[0]
    whole = np.full(N_STATES, np.nan)
    whole[kept] = solution
    # States are kept with their mirror images: their counts are the same.
    found[kept] = ((whole - whole[MIRROR]) / 2)[kept]
    wrong = np.abs(equation @ found[kept] - expected).max()
    # States that never reach one another have no common price.
    return (
        found if wrong <= _SOLVED * max(np.abs(expected).max(), 1e-6) else np.full(N_STATES, np.nan)
    )


def with_adjustment(
    quotes: pl.DataFrame, series: tuple[str, ...], max_age: timedelta
) -> pl.DataFrame:
    """Quotes with `_adjustment`, in log price, from the days before each of them.

    Parameters
    ----------
    quotes
        In the order they became known, series by series.
    series
        Columns that tell series apart.
    max_age
        A quote that comes so much later than the one before does not follow it.
    """
    parts = [
        part.with_columns(pl.Series("_adjustment", _of_series(part, max_age), nan_to_null=True))
        for part in quotes.partition_by(series, maintain_order=True)
    ]
    return pl.concat(parts) if parts else quotes.with_columns(_adjustment=pl.lit(None, pl.Float64))


def _of_series(quotes: pl.DataFrame, max_age: timedelta) -> Array:
    """Adjustment at each quote of one series."""
    known = quotes["known_at"]
    follows = (known.diff() <= max_age).fill_null(False).to_numpy()
    spread = (quotes["ask_price"] - quotes["bid_price"]).fill_null(np.nan).to_numpy()
    bid, ask = (quotes[f"{side}_quantity"].fill_null(np.nan).to_numpy() for side in ("bid", "ask"))
    with np.errstate(all="ignore"):
        log_mid = np.log(quotes["mid_price"].fill_null(np.nan).to_numpy())
    day = known.dt.epoch("d").cast(pl.Int64).to_numpy()
    starts = np.append(np.flatnonzero(np.append(True, np.diff(day) != 0)), day.size)
    found = np.full(quotes.height, np.nan)
    first = spread[: starts[1]]
    first = first[first > 0]
    if not first.size:
        return found
    state = states(spread, bid, ask, float(np.quantile(first, _UNIT_QUANTILE)))
    state[~np.isfinite(log_mid)] = -1
    counts, moves = np.zeros((2, N_STATES, N_STATES))
    for begin, end in pairwise(starts):
        if begin:
            now = state[begin:end]
            found[begin:end] = np.where(now >= 0, adjustment(counts, moves)[now], np.nan)
        # The transition into a day's first quote is that day's.
        since = max(begin - 1, 0)
        more = transitions(state[since:end], log_mid[since:end], follows[since:end])
        counts, moves = counts + more[0], moves + more[1]
    return found
