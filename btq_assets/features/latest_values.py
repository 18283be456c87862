"""Values of single operations over trailing windows, for `latest`.

Belongs here: one function per operation, over ``(symbols, bars)`` with the newest bar last and NaN
where a value is missing. Does not belong here: which operations an expression is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]
Value = Array | float


def padded(values: Array, n: int) -> Array:
    """`values` with missing ones before them, so that there are `n` of each symbol."""
    short = n - values.shape[1]
    return values if short <= 0 else np.pad(values, ((0, 0), (short, 0)), constant_values=np.nan)


def _windows(values: NDArray[Any], window: int) -> NDArray[Any]:
    if values.shape[1] == window:
        return values[:, None, :]
    return sliding_window_view(values, window, axis=1)


def rolled(values: Array, function: str, window: int, enough: int, degrees: int) -> Array:
    """One value per full window; missing values are left out, and at least `enough` are needed."""
    windows = _windows(values, window)
    missing = np.isnan(values)
    if not missing.any():
        return ROLLING[function](windows, window, degrees)
    present = _windows(~missing, window)
    count = present.sum(axis=2)
    fill = {"Max": -np.inf, "Min": np.inf}.get(function, 0.0)
    if function in ("Std", "Var"):
        mean = np.where(present, windows, 0.0).sum(axis=2) / count
        squares = np.where(present, (windows - mean[:, :, None]) ** 2, 0.0).sum(axis=2)
        found = squares / (count - degrees)
        found = np.sqrt(found) if function == "Std" else found
    else:
        filled = _windows(np.where(missing, fill, values), window)
        found = ROLLING["Sum" if function == "Mean" else function](filled, window, degrees)
        found = found / count if function == "Mean" else found
    return np.where(count >= max(enough, 1), found, np.nan)


def _variance(windows: Array, window: int, degrees: int) -> Array:
    apart = windows - windows.mean(axis=2, keepdims=True)
    return np.einsum("ijk,ijk->ij", apart, apart) / (window - degrees)


ROLLING: dict[str, Callable[[Array, int, int], Array]] = {
    "Mean": lambda w, n, d: w.sum(axis=2) / n,
    "Sum": lambda w, n, d: w.sum(axis=2),
    "Max": lambda w, n, d: w.max(axis=2),
    "Min": lambda w, n, d: w.min(axis=2),
    "Var": _variance,
    "Std": lambda w, n, d: np.sqrt(_variance(w, n, d)),
}


def _sum_begun(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    """Sum so far, and NaN where the newest value is missing, ``(symbols, 2)``."""
    newest = values[:, -1]
    return np.stack([np.nansum(values, axis=1), np.where(np.isnan(newest), np.nan, 0.0)], axis=1)


def _sum_value(state: Array) -> Array:
    return state[:, 0] + state[:, 1]


def _running_sum(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    return _sum_value(_sum_begun(values, ages, settings))


def _ewm_begun(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    """Weighted sum and sum of weights, ``(symbols, 2)``; NaN for too few values."""
    alpha, enough = settings
    weights = (1 - alpha) ** np.arange(values.shape[1] - 1, -1, -1.0)
    present = ~np.isnan(values)
    sums = np.where(present, values, 0.0) @ weights, present.astype(float) @ weights
    few = present.sum(axis=1) < max(enough, 1)
    return np.where(few[:, None], np.nan, np.stack(sums, axis=1))


def _ewm_value(state: Array) -> Array:
    return state[:, 0] / state[:, 1]


def _exponential(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    return _ewm_value(_ewm_begun(values, ages, settings))


def _weighted(
    values: Array, ages: NDArray[np.int64], weights: Callable[[int], Array | None]
) -> Array:
    """Sum with weights that depend on how many values a symbol has."""
    found = np.full(values.shape[0], np.nan)
    held = np.minimum(ages, values.shape[1])
    for age in np.unique(held):
        vector = weights(int(age)) if age > 0 else None
        if vector is not None:
            of_age = held == age
            rows = values if of_age.all() else values[of_age]
            found[of_age] = rows[:, values.shape[1] - age :] @ vector
    return found


def _rsi_begun(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    """Wilder averages of gains and of losses, ``(symbols, 2)``."""
    window = settings[0]
    moves = np.diff(values, axis=1)

    def weights(n: int) -> Array | None:
        return _wilder(n, window)

    gains = _weighted(np.maximum(moves, 0.0), ages - 1, weights)
    losses = -_weighted(np.minimum(moves, 0.0), ages - 1, weights)
    return np.stack([gains, losses], axis=1)


def _rsi_value(state: Array) -> Array:
    total = state[:, 0] + state[:, 1]
    # TA-Lib: a sum below 1e-14 counts as zero.
    return np.where(np.abs(total) < 1e-14, 0.0 * total, 100 * state[:, 0] / total)


def _relative_strength(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    return _rsi_value(_rsi_begun(values, ages, settings))


@lru_cache(maxsize=4096)
def _wilder(n: int, window: int) -> Array | None:
    """Weights of a Wilder average of `n` values that starts at the mean of the first `window`."""
    if n < window:
        return None
    ago = np.arange(n - 1, -1, -1.0)
    ago[:window] = n - window
    return (1 - 1 / window) ** ago / window


def _macd_begun(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    """Fast, slow and signal average, ``(symbols, 3)``."""
    fast, slow, signal = settings[:3]

    def weights(part: int) -> Callable[[int], Array | None]:
        def of(n: int) -> Array | None:
            found = _macd_weights(n, fast, slow, signal)
            return None if found is None else found[part]

        return of

    return np.stack([_weighted(values, ages, weights(part)) for part in range(3)], axis=1)


def _macd_value(state: Array) -> Array:
    return state[:, 0] - state[:, 1] - state[:, 2]


def _convergence(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    return _macd_value(_macd_begun(values, ages, settings))


@lru_cache(maxsize=4096)
def _macd_weights(n: int, fast: int, slow: int, signal: int) -> Array | None:
    """Weights of `n` prices in TA-Lib's MACD averages, ``(3, n)``: fast, slow and signal."""
    if n < slow + signal - 1:
        return None
    alphas = [2 / (length + 1) for length in (fast, slow, signal)]
    averages = np.zeros((2, n))
    for row, length in enumerate((fast, slow)):
        # Both start at the same bar, with the mean of their first values.
        alpha = alphas[row]
        averages[row, slow - length : slow] = (1 - alpha) ** (n - slow) / length
        averages[row, slow:] = alpha * (1 - alpha) ** np.arange(n - slow - 1, -1, -1.0)
    # How much each value of the line, fast less slow, weighs in the signal.
    n_lines = n - slow + 1
    shares = alphas[2] * (1 - alphas[2]) ** np.arange(n_lines - 1, -1, -1.0)
    shares[:signal] = (1 - alphas[2]) ** (n_lines - signal) / signal
    smooth = np.zeros(n)
    for row, length, sign in ((0, fast, 1.0), (1, slow, -1.0)):
        alpha = alphas[row]
        # From the newest bar back: a price weighs in every line from its own on.
        later = 0.0
        for bar in range(n - 1, slow - 1, -1):
            later = shares[bar - slow + 1] + (1 - alpha) * later
            smooth[bar] += sign * alpha * later
        first = shares[0] + (1 - alpha) * later
        smooth[slow - length : slow] += sign * first / length
    return np.vstack([averages, smooth])


def _line_end(values: Array, ages: NDArray[np.int64], settings: tuple[Any, ...]) -> Array:
    window = settings[0]
    if values.shape[1] < window:
        return np.full(values.shape[0], np.nan)
    place = np.arange(window) - (window - 1) / 2
    weights = 1 / window + place * place[-1] / (place**2).sum()
    return values[:, -window:] @ weights


#: Operations that read everything that is kept.
WHOLE: dict[str, Callable[[Array, NDArray[np.int64], tuple[Any, ...]], Array]] = {
    "CumSum": _running_sum,
    "ewm": _exponential,
    "rsi": _relative_strength,
    "macd": _convergence,
    "linearreg": _line_end,
}


def _compared(relation: Callable[[Value, Value], Any]) -> Callable[[Value, Value], Value]:
    def compare(left: Value, right: Value) -> Value:
        return np.where(np.isnan(left) | np.isnan(right), np.nan, relation(left, right))

    return compare


def _either(left: Value, right: Value) -> Value:
    true = (np.asarray(left) == 1) | (np.asarray(right) == 1)
    return np.where(true, 1.0, left + right)


def _both(left: Value, right: Value) -> Value:
    false = (np.asarray(left) == 0) | (np.asarray(right) == 0)
    return np.where(false, 0.0, left * right)


def _divided(left: Value, right: Value) -> Value:
    # polars multiplies by the reciprocal of a single divisor.
    return left * (1 / right) if isinstance(right, float) and right else np.true_divide(left, right)


def _power(base: Value, exponent: Value) -> Value:
    return (
        base * base if isinstance(exponent, float) and exponent == 2 else np.power(base, exponent)
    )


def _total(*parts: Value) -> Value:
    total: Value = 0.0
    for part in parts:
        total = total + np.nan_to_num(part, nan=0.0)
    return total


def _filled_in(value: Value, fill: Value) -> Value:
    return np.where(np.isnan(value), fill, value)


def _extreme(pick: Callable[..., Any]) -> Callable[..., Value]:
    def horizontal(*parts: Value) -> Value:
        found = parts[0]
        for part in parts[1:]:
            found = pick(found, part)
        return found

    return horizontal


BINARY: dict[str, Callable[[Any, Any], Value]] = {
    "Plus": lambda a, b: a + b,
    "Minus": lambda a, b: a - b,
    "Multiply": lambda a, b: a * b,
    "TrueDivide": _divided,
    "Gt": _compared(np.greater),
    "GtEq": _compared(np.greater_equal),
    "Lt": _compared(np.less),
    "LtEq": _compared(np.less_equal),
    "Eq": _compared(np.equal),
    "NotEq": _compared(np.not_equal),
    "And": _both,
    "Or": _either,
}

PLAIN: dict[str, Callable[..., Value]] = {
    "Abs": np.abs,
    "Exp": np.exp,
    "Log": lambda x, base=np.e: np.log(x) if base == np.e else np.log(x) / np.log(base),
    "Sign": np.sign,
    "Negate": np.negative,
    "Sqrt": np.sqrt,
    "Generic": _power,
    "Atan2": np.arctan2,
    "MaxHorizontal": _extreme(np.fmax),
    "MinHorizontal": _extreme(np.fmin),
    "SumHorizontal": _total,
    "FillNull": _filled_in,
    "IsNull": lambda x: np.isnan(x).astype(float),
    "IsNotNull": lambda x: (~np.isnan(x)).astype(float),
    "IsNan": lambda x: np.zeros_like(x),
    "IsNotNan": lambda x: np.ones_like(x),
    "IsFinite": lambda x: np.where(np.isnan(x), np.nan, np.isfinite(x)),
    "Not": lambda x: 1.0 - x,
}
