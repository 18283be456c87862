"""What each operation does to the newest bar of one symbol, compiled, for `bar_kernel`.

Belongs here: one function per kind of operation. Does not belong here: which operations a family is
made of (`bar_program`), and formulas.

Null and NaN are one, as in `latest`, whose results these are; a sum adds in the order numpy adds.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Operations that need registers alone; ``Multiply`` and so on are named as `latest` names them.
CODES: dict[str, int] = {
    name: number
    for number, name in enumerate(
        (
            "Load", "Push", "Plus", "Minus", "Multiply", "TrueDivide", "Gt", "GtEq", "Lt", "LtEq",
            "Eq", "NotEq", "And", "Or", "where", "Abs", "Exp", "Log", "Sign", "Negate", "Sqrt",
            "Generic", "Square", "Atan2", "Fmax", "Fmin", "SumHorizontal", "FillNull", "IsNull",
            "IsNotNull", "IsNan", "IsNotNan", "IsFinite", "Not", "Maximum", "Minimum", "Shift",
            "Mean", "Sum", "Max", "Min", "Var", "Std", "CumSum", "ewm", "rsi", "macd", "linearreg",
        )
    )
}  # fmt: skip

_PLUS, _MINUS = CODES["Plus"], CODES["Minus"]
_TIMES, _OVER = CODES["Multiply"], CODES["TrueDivide"]
_GT, _GTE, _LT, _LTE, _EQ, _NE = (CODES[n] for n in ("Gt", "GtEq", "Lt", "LtEq", "Eq", "NotEq"))
_AND, _OR, _WHERE, _NOT = (CODES[n] for n in ("And", "Or", "where", "Not"))
_ABS, _EXP, _LOG, _SIGN, _NEGATE = (CODES[n] for n in ("Abs", "Exp", "Log", "Sign", "Negate"))
_SQRT, _POWER, _SQUARE, _ATAN = (CODES[n] for n in ("Sqrt", "Generic", "Square", "Atan2"))
_FMAX, _FMIN, _ADD, _FILL = (CODES[n] for n in ("Fmax", "Fmin", "SumHorizontal", "FillNull"))
_NULL, _NOT_NULL = CODES["IsNull"], CODES["IsNotNull"]
_NAN, _NOT_NAN, _FINITE = (CODES[n] for n in ("IsNan", "IsNotNan", "IsFinite"))
_MAXIMUM = CODES["Maximum"]
_MEAN, _SUM, _MAX, _MIN, _VAR, _STD = (
    CODES[n] for n in ("Mean", "Sum", "Max", "Min", "Var", "Std")
)
_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@_compiled
def _block(values: Array) -> float:
    """Sum of up to 128 values in numpy's order: eight sums side by side."""
    n = values.size
    total = 0.0
    if n < 8:
        for i in range(n):
            total += values[i]
        return total
    a, b, c, d, e, f, g, h = values[:8]
    for k in range(1, n // 8):
        i = 8 * k
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(n - n % 8, n):
        total += values[i]
    return total


@_compiled
def added(values: Array) -> float:
    """Sum in numpy's order: halves of halves, each a multiple of eight, down to blocks of 128."""
    n = values.size
    if n <= 128:
        return _block(values)
    half = n // 2
    half -= half % 8
    return added(values[:half]) + added(values[half:])


@_compiled
def _apart(values: Array, mean: float) -> float:
    """Sum of squared distances from the mean, missing values left out."""
    even = odd = 0.0
    for i in range(values.size // 2):
        left, right = values[2 * i] - mean, values[2 * i + 1] - mean
        even += left * left if left == left else 0.0
        odd += right * right if right == right else 0.0
    if values.size % 2:
        last = values[values.size - 1] - mean
        even += last * last if last == last else 0.0
    return even + odd


@_compiled
def rolled(op: int, values: Array, enough: int, degrees: int) -> float:
    """One statistic of a window; missing values are left out."""
    window, count = values.size, 0
    for i in range(window):
        count += values[i] == values[i]
    if count < max(enough, 1):
        return np.nan
    if op == _MAX:
        best = -np.inf
        for i in range(window):
            best = values[i] if values[i] > best else best
        return best
    if op == _MIN:
        best = np.inf
        for i in range(window):
            best = values[i] if values[i] < best else best
        return best
    there = values if count == window else np.where(np.isnan(values), 0.0, values)
    total = added(there)
    if op == _SUM:
        return total
    mean = total / count
    if op == _MEAN:
        return mean
    variance = _apart(values, mean) / (count - degrees)
    return variance if op == _VAR else math.sqrt(variance)


@_compiled
def exponential(state: Array, past: Array, end: int, n: int, alpha: float, enough: int) -> float:
    """Mean with fading weights; `state` is the weighted sum and the sum of weights."""
    newest = past[end - 1]
    there = newest == newest
    state[0] = (1 - alpha) * state[0] + (newest if there else 0.0)
    state[1] = (1 - alpha) * state[1] + (1.0 if there else 0.0)
    if not (math.isfinite(state[0]) and math.isfinite(state[1])):
        present = 0
        state[0] = state[1] = 0.0
        for i in range(end - n, end):
            value = past[i]
            there = value == value
            present += there
            state[0] = (1 - alpha) * state[0] + (value if there else 0.0)
            state[1] = (1 - alpha) * state[1] + (1.0 if there else 0.0)
        if present < max(enough, 1):
            state[0] = state[1] = np.nan
    return state[0] / state[1]


@_compiled
def running(state: Array, past: Array, end: int, n: int) -> float:
    """Sum of all values so far; missing where the newest is."""
    newest = past[end - 1]
    if math.isfinite(state[0]) and newest == newest:
        state[0] += newest
    elif newest == newest:
        state[0] = 0.0
        for i in range(end - n, end):
            if past[i] == past[i]:
                state[0] += past[i]
    return state[0] if newest == newest else np.nan


@_compiled
def rsi(state: Array, past: Array, end: int, age: int, window: int) -> float:
    """Wilder's averages of gains and losses, begun as TA-Lib begins them."""
    move = past[end - 1] - past[end - 2]
    state[0] = (state[0] * (window - 1) + (move if move > 0 or move != move else 0.0)) / window
    state[1] = (state[1] * (window - 1) + (-move if move < 0 or move != move else 0.0)) / window
    if not (math.isfinite(state[0]) and math.isfinite(state[1])):
        state[0] = state[1] = np.nan
        if age - 1 < window:
            return np.nan
        gains = losses = 0.0
        for i in range(end - age + 1, end):
            move = past[i] - past[i - 1]
            up = move if move > 0 or move != move else 0.0
            down = -move if move < 0 or move != move else 0.0
            if i - (end - age + 1) < window:
                gains += up / window
                losses += down / window
            else:
                gains = (gains * (window - 1) + up) / window
                losses = (losses * (window - 1) + down) / window
        state[0], state[1] = gains, losses
    total = state[0] + state[1]
    # TA-Lib: a sum below 1e-14 counts as zero.
    return 0.0 * total if abs(total) < 1e-14 else 100 * state[0] / total


@_compiled
def macd(state: Array, past: Array, end: int, age: int, fast: int, slow: int, signal: int) -> float:
    """Line less signal; `state` is the fast, the slow and the signal average."""
    of_fast, of_slow, of_signal = 2 / (fast + 1), 2 / (slow + 1), 2 / (signal + 1)
    newest = past[end - 1]
    state[0] += of_fast * (newest - state[0])
    state[1] += of_slow * (newest - state[1])
    state[2] += of_signal * (state[0] - state[1] - state[2])
    if not (math.isfinite(state[0]) and math.isfinite(state[1]) and math.isfinite(state[2])):
        state[:3] = np.nan
        if age < slow + signal - 1:
            return np.nan
        start = end - age
        quick = far = 0.0
        for i in range(start, start + slow):
            far += past[i] / slow
            if i >= start + slow - fast:
                quick += past[i] / fast
        smooth = (quick - far) / signal
        for i in range(start + slow, end):
            quick += of_fast * (past[i] - quick)
            far += of_slow * (past[i] - far)
            line = quick - far
            if i - start - slow + 1 < signal:
                smooth += line / signal
            else:
                smooth += of_signal * (line - smooth)
        state[0], state[1], state[2] = quick, far, smooth
    return state[0] - state[1] - state[2]


@_compiled
def line_end(past: Array, end: int, window: int) -> float:
    """Newest point of the least-squares line through the last values."""
    middle = (window - 1) / 2
    squares = 0.0
    for i in range(window):
        squares += (i - middle) ** 2
    found = 0.0
    for i in range(window):
        found += past[end - window + i] * (1 / window + (i - middle) * middle / squares)
    return found


@_compiled
def _compared(op: int, a: float, b: float) -> float:
    if a != a or b != b:
        return np.nan
    if op == _GT:
        return 1.0 if a > b else 0.0
    if op == _GTE:
        return 1.0 if a >= b else 0.0
    if op == _LT:
        return 1.0 if a < b else 0.0
    if op == _LTE:
        return 1.0 if a <= b else 0.0
    if op == _EQ:
        return 1.0 if a == b else 0.0
    return 1.0 if a != b else 0.0


@_compiled
def plain(op: int, a: float, b: float, c: float) -> float:
    """What registers alone give."""
    if op == _PLUS:
        return a + b
    if op == _MINUS:
        return a - b
    if op == _TIMES:
        return a * b
    if op == _OVER:
        return a / b
    if _GT <= op <= _NE:
        return _compared(op, a, b)
    if op == _AND:
        return 0.0 if a == 0 or b == 0 else a * b
    if op == _OR:
        return 1.0 if a == 1 or b == 1 else a + b
    if op == _WHERE:
        return b if a == 1.0 else c
    if op == _ABS:
        return abs(a)
    if op == _EXP:
        return np.exp(a)
    if op == _LOG:
        return np.log(a)
    if op == _SIGN:
        return np.sign(a)
    if op == _NEGATE:
        return -a
    if op == _SQRT:
        return np.sqrt(a)
    if op == _POWER:
        return np.power(a, b)
    if op == _SQUARE:
        return a * a
    if op == _ATAN:
        return np.arctan2(a, b)
    return _chosen(op, a, b)


@_compiled
def _chosen(op: int, a: float, b: float) -> float:
    """Missing values, bounds and extremes."""
    missing = a != a
    if op == _FMAX:
        return b if missing or b > a else a
    if op == _FMIN:
        return b if missing or b < a else a
    if op == _ADD:
        return (0.0 if missing else a) + (0.0 if b != b else b)
    if op == _FILL:
        return b if missing else a
    if op == _NULL:
        return 1.0 if missing else 0.0
    if op == _NOT_NULL:
        return 0.0 if missing else 1.0
    if op == _NAN:
        return 0.0
    if op == _NOT_NAN:
        return 1.0
    if op == _FINITE:
        return np.nan if missing else (0.0 if math.isinf(a) else 1.0)
    if op == _NOT:
        return 1.0 - a
    if missing or b != b:
        return np.nan
    if op == _MAXIMUM:
        return a if a >= b else b
    return a if a <= b else b
