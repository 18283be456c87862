"""Fractional family: log prices differenced by a fraction of an order.

Belongs here: the weights of fractional differences, the choice of their order, and what is made
of one symbol's adjusted close with them. Does not belong here: whole differences (`technical`).

A fixed-width window as Lopez de Prado (2018, section 5.5) has it: weights smaller than a cut-off
are dropped. What is left does not sum to zero, so that the level of the price would remain in the
value. Log prices are therefore counted from the oldest one in the window: scaling a history
changes nothing, no more of the past is needed than the window, and the value is an average of
the window's returns with weights that fade like a power of their age.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import FractionalSection, TradingConfig
from btq_assets.features.definitions import (
    CONSTANT_BELOW,
    HISTORY,
    KEY,
    SYMBOL,
    Feature,
    FeatureError,
    prepare,
    undefined_to_null,
)

#: Sessions of the standardised value.
Z_SESSIONS = 63
CHANGE_SESSIONS = 5
#: Longest window, whatever the cut-off.
MAX_WINDOW = 1_260
#: Orders tried when the order is chosen, and how many values the test needs.
_ORDERS = tuple(round(0.05 * step, 2) for step in range(1, 21))
MIN_TESTED = 250
#: MacKinnon (2010), table 2, constant, no trend, 5 %: asymptotic value and corrections in 1/n.
_CRITICAL_5 = (-2.86154, -2.8903, -4.234, -40.04)


def weights(order: float, cutoff: float, longest: int = MAX_WINDOW) -> NDArray[np.float64]:
    """Weights of ``(1 - B)^order``, newest value first, down to the cut-off.

    ``w[0] = 1``, ``w[k] = -w[k-1] (order - k + 1) / k``: Hosking (1981), equation 2; Lopez de
    Prado (2018), section 5.4.2.

    Parameters
    ----------
    order
        Order of the difference, above 0 and at most 2.
    cutoff
        The first weight whose magnitude is below it, and all later ones, are dropped.
    longest
        Number of weights never exceeded.

    Raises
    ------
    FeatureError
        A parameter is out of range.
    """
    if not (0 < order <= 2 and cutoff > 0 and longest >= 2):
        raise FeatureError(
            f"order = {order}, cutoff = {cutoff}, longest = {longest}: the order is above 0 and at "
            "most 2, the cut-off above 0, the window at least 2"
        )
    found = [1.0]
    while len(found) < longest:
        k = len(found)
        following = -found[-1] * (order - k + 1) / k
        if abs(following) < cutoff:
            break
        found.append(following)
    return np.array(found)


def fractional_difference(
    log_price: NDArray[np.float64], kernel: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Fixed-width fractional difference of one history, counted from the window's oldest value.

    ``sum over k of w[k] (x[t-k] - x[t-K+1])``, ``K`` weights.

    Parameters
    ----------
    log_price
        ``(T,)`` without gaps.
    kernel
        Output of `weights`, ``(K,)``.

    Returns
    -------
    numpy.ndarray
        ``(T,)``, NaN before ``K`` values are known.
    """
    return _moving(np.diff(log_price, prepend=np.nan), np.cumsum(kernel)[:-1])


def _moving(values: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """``sum over k of kernel[k] values[t-k]``, each from its own values, in one fixed order."""
    found = np.full(values.size, np.nan)
    n = values.size - kernel.size + 1
    if n < 1 or not kernel.size:
        return found
    total = np.zeros(n)
    for k, weight in enumerate(kernel):
        start = kernel.size - 1 - k
        total += weight * values[start : start + n]
    found[kernel.size - 1 :] = total
    return found


def least_order(log_price: NDArray[np.float64], cutoff: float) -> float | None:
    """Smallest order in steps of 0.05 whose difference has no unit root by a Dickey-Fuller test.

    The test of Said and Dickey (1984) with a constant and one lag at 5 % (MacKinnon 2010), on the
    plain fixed-width difference, level included, as in Lopez de Prado (2018), section 5.6.

    Parameters
    ----------
    log_price
        ``(T,)`` of the window the choice may see.
    cutoff
        As in `weights`.

    Returns
    -------
    float or None
        ``None`` where too few values are left for the test, or none of the orders passes it.
    """
    for order in _ORDERS:
        difference = _moving(log_price, weights(order, cutoff))
        difference = difference[np.isfinite(difference)]
        if difference.size >= MIN_TESTED and _rejects_unit_root(difference):
            return order
    return None


def _rejects_unit_root(values: NDArray[np.float64]) -> bool:
    statistic = dickey_fuller(values)
    n = values.size - 2
    critical = sum(value / n**power for power, value in enumerate(_CRITICAL_5))
    return bool(np.isfinite(statistic) and statistic < critical)


def dickey_fuller(values: NDArray[np.float64]) -> float:
    """Statistic t of the level in ``dx[t] = a + b x[t-1] + c dx[t-1] + e``; NaN where undefined.

    Parameters
    ----------
    values
        ``(n,)``, n at least 10.
    """
    change = np.diff(values)
    if values.size < 10 or np.ptp(change) <= 0:
        return float("nan")
    design = np.column_stack([values[1:-1], change[:-1], np.ones(change.size - 1)])
    wanted = change[1:]
    coefficients, _, rank, _ = np.linalg.lstsq(design, wanted, rcond=None)
    if rank < design.shape[1]:
        return float("nan")
    residual = wanted - design @ coefficients
    variance = residual @ residual / (wanted.size - design.shape[1])
    error = np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])
    return float(coefficients[0] / error) if error > 0 else float("nan")


def features_for(settings: FractionalSection) -> tuple[Feature, ...]:
    """Definitions of the family for an order and a cut-off of the weights.

    Parameters
    ----------
    settings
        ``features.fractional``: ``d`` and ``c`` in the formulas.
    """
    window = weights(settings.order, settings.weight_cutoff).size
    chosen = (
        "d the symbol's own, the least that passes a Dickey-Fuller test before the first test segment"
        if settings.choose_order
        else f"d = {settings.order:g}"
    )
    main = "fractional_log_price"
    rows = (
        (main, f"sum(w[k] (ln p[t-k] - ln p[t-K+1])), k = 0..K-1, w[0] = 1, w[k] = -w[k-1] (d - k + 1) / k, K weights of magnitude {settings.weight_cutoff:g} or more; {chosen}", "Hosking (1981); Lopez de Prado (2018), section 5.5, less the oldest level", "log price", window - 1),
        (f"{main}_z_{Z_SESSIONS}", f"(x - mean{Z_SESSIONS}(x)) / std{Z_SESSIONS}(x), x = {main}", "own definition", "standard deviations", window + Z_SESSIONS - 2),
        (f"{main}_change_{CHANGE_SESSIONS}d", f"x - x[t-{CHANGE_SESSIONS}], x = {main}", "own definition", "log price", window + CHANGE_SESSIONS - 1),
    )  # fmt: skip
    return tuple(
        Feature(name, "fractional", formula, source, unit, lookback, ("adj_close",))
        for name, formula, source, unit, lookback in rows
    )


def memory_sessions(settings: FractionalSection) -> int:
    """Sessions before a row that it depends on; all of them where orders are chosen."""
    if settings.choose_order:
        return 1_000_000
    return weights(settings.order, settings.weight_cutoff).size + Z_SESSIONS + 5


def compute(bars: pl.DataFrame, config: TradingConfig | None = None) -> pl.DataFrame:
    """Compute the fractional family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only ``adj_close`` is read.
    config
        Order and cut-off; with ``choose_order`` also the start of the first test: orders are chosen
        from bars before it, and rows before it have no value, for the choice looks ahead of them.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.fractional``: one per bar, sorted by universe, symbol and time.
    """
    config = config or TradingConfig()
    settings = config.features.fractional
    prepared = prepare(bars).with_columns(_x=pl.col("_p").log())
    start = pl.lit(config.models.walk_forward.first_test).str.to_datetime(
        "%Y-%m-%d", time_zone="UTC"
    )
    prepared = prepared.select(*KEY, HISTORY, "_x", _open=pl.col("ts") >= start)
    columns = np.full((3, prepared.height), np.nan)
    for rows in _histories(prepared[HISTORY].to_numpy()):
        columns[:, rows] = _one_history(
            prepared["_x"][rows].to_numpy(), prepared["_open"][rows].to_numpy(), settings
        )
    names = (feature.name for feature in features_for(settings))
    found = (pl.Series(name, column) for name, column in zip(names, columns, strict=True))
    return undefined_to_null(prepared.select(*KEY).with_columns(found))


def _histories(numbers: NDArray[np.uint32]) -> list[slice]:
    """Rows of each symbol; `numbers` ascend."""
    if not numbers.size:
        return []
    edges = np.flatnonzero(np.diff(numbers)) + 1
    return [
        slice(int(first), int(last))
        for first, last in zip([0, *edges], [*edges, numbers.size], strict=True)
    ]


def _one_history(
    log_price: NDArray[np.float64], open_: NDArray[np.bool_], settings: FractionalSection
) -> NDArray[np.float64]:
    """The three columns of one symbol, ``(3, T)``."""
    order: float | None = settings.order
    if settings.choose_order:
        order = least_order(log_price[~open_], settings.weight_cutoff)
    if order is None:
        return np.full((3, log_price.size), np.nan)
    value = fractional_difference(log_price, weights(order, settings.weight_cutoff))
    change = np.full(value.size, np.nan)
    change[CHANGE_SESSIONS:] = value[CHANGE_SESSIONS:] - value[:-CHANGE_SESSIONS]
    found = np.stack([value, _standardised(value, Z_SESSIONS), change])
    if settings.choose_order:
        found[:, ~open_] = np.nan
    return found


def _standardised(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Distance from the window's mean in its standard deviations, two passes over each window."""
    if values.size < window:
        return np.full(values.size, np.nan)
    equal = np.full(window, 1.0 / window)
    mean = _moving(values, equal)
    squares = np.zeros(values.size)
    for k in range(window):
        squares[window - 1 :] += (
            values[window - 1 - k : values.size - k] - mean[window - 1 :]
        ) ** 2
    deviation = np.sqrt(squares / (window - 1))
    return np.where(deviation > CONSTANT_BELOW, values - mean, np.nan) / np.maximum(
        deviation, CONSTANT_BELOW
    )


def chosen_orders(bars: pl.DataFrame, config: TradingConfig) -> pl.DataFrame:
    """Order of each symbol that a Dickey-Fuller test chooses before the first test.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``order``; null where none of the orders passes.
    """
    first = pl.lit(config.models.walk_forward.first_test).str.to_datetime(
        "%Y-%m-%d", time_zone="UTC"
    )
    known = prepare(bars).filter(pl.col("ts") < first)
    cutoff = config.features.fractional.weight_cutoff
    rows = [
        (*names, least_order(rows["_p"].log().to_numpy(), cutoff))
        for names, rows in known.group_by(SYMBOL, maintain_order=True)
    ]
    schema = {"universe": pl.String, "symbol": pl.String, "order": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the settings of `config`."""
    return features_for(config.features.fractional)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config)
