"""One more bar of a family of expressions, compiled: a small machine that runs a list of operations.

Belongs here: running the list for the newest bar of each symbol. Does not belong here: what an
operation does (`bar_operations`), which ones a family is made of (`bar_program`), and formulas.

An operation reads registers, which hold newest values, and windows of earlier ones. Each symbol runs
the whole list by itself, so that a symbol without a bar keeps everything as it was.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from btq_assets.features.bar_operations import (
    CODES,
    Array,
    exponential,
    line_end,
    macd,
    plain,
    rolled,
    rsi,
    running,
)

#: Columns of an instruction: operation, result, operands; then the operand's earlier values (where
#: they begin and how many), up to three whole settings, and where the operation keeps its state.
WIDTH = 11
OP, TO, A, B, C, AT, HELD, FIRST, SECOND, THIRD, STATE = range(WIDTH)

_LOAD, _PUSH, _SHIFT, _STD = (CODES[name] for name in ("Load", "Push", "Shift", "Std"))
_CUMSUM, _EWM, _RSI, _MACD = (CODES[name] for name in ("CumSum", "ewm", "rsi", "macd"))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def run(
    code: NDArray[np.int64],
    numbers: Array,
    constants: Array,
    rows: NDArray[np.int64],
    fresh: Array,
    ages: NDArray[np.int64],
    past: Array,
    seen: NDArray[np.int64],
    state: Array,
    wanted: NDArray[np.int64],
    found: Array,
) -> None:
    """Run the list for the newest bar of some symbols.

    Parameters
    ----------
    code
        ``(operations, WIDTH)``.
    numbers
        ``(operations,)``, a setting that is not whole.
    constants
        ``(registers,)``, what a register holds at the start.
    rows
        Symbols with a bar.
    fresh
        ``(columns, rows)``, their newest bars.
    ages
        ``(symbols,)`` bars of each symbol within its window, the newest one counted.
    past
        ``(symbols, room)``; each window is written twice, so that it is always in one piece.
    seen
        ``(symbols,)`` bars taken so far.
    state
        ``(symbols, room)`` of averages that go on.
    wanted
        Registers of the results.
    found
        ``(wanted, rows)``, filled here.
    """
    register = np.empty(constants.size)
    for number in range(rows.size):
        row = rows[number]
        mine, kept = past[row], state[row]
        register[:] = constants
        for step in range(code.shape[0]):
            line = code[step]
            op = line[OP]
            if op == _LOAD:
                register[line[TO]] = fresh[line[A], number]
                continue
            held = line[HELD]
            if op == _PUSH:
                place = line[AT] + seen[row] % held
                mine[place] = mine[place + held] = register[line[A]]
                continue
            if op < _SHIFT:
                register[line[TO]] = plain(
                    op, register[line[A]], register[line[B]], register[line[C]]
                )
                continue
            end = line[AT] + seen[row] % held + 1 + held
            first = line[FIRST]
            if op == _SHIFT:
                value = mine[end - 1 - first]
            elif op <= _STD:
                value = rolled(op, mine[end - first : end], line[SECOND], line[THIRD])
            elif op == _CUMSUM:
                value = running(kept[line[STATE] :], mine, end, held)
            elif op == _EWM:
                value = exponential(kept[line[STATE] :], mine, end, held, numbers[step], first)
            elif op == _RSI:
                value = rsi(kept[line[STATE] :], mine, end, min(ages[row], held), first)
            elif op == _MACD:
                value = macd(
                    kept[line[STATE] :],
                    mine,
                    end,
                    min(ages[row], held),
                    first,
                    line[SECOND],
                    line[THIRD],
                )
            else:
                value = line_end(mine, end, first)
            register[line[TO]] = value
        for k in range(wanted.size):
            found[k, number] = register[wanted[k]]
        seen[row] += 1
