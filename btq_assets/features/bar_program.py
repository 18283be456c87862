"""A family of expressions as a list of operations that `bar_kernel` runs bar after bar.

Belongs here: which operations, in which order, and what each keeps of the past. Does not belong here:
what an operation does (`bar_kernel`), the values before the first bar (`latest`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from btq_assets.features.latest import Array, Latest, Node, NotEvaluatedError
from btq_assets.features.latest_values import BINARY, PLAIN
from btq_assets.features.newest import Formulas

#: Operations of several operands that are taken two at a time.
_PAIRWISE = {"MaxHorizontal": "Fmax", "MinHorizontal": "Fmin", "SumHorizontal": "SumHorizontal"}
#: Numbers that an average keeps.
_STATES = {"CumSum": 1, "ewm": 2, "rsi": 2, "macd": 3}
#: Operations whose operand is kept as far back as there is a window: they may have to begin anew.
_WHOLE = frozenset(_STATES)


class Program:
    """Newest values of a family's features, one bar after another.

    Parameters
    ----------
    formulas
        The family.
    columns
        Raw columns by name, ``(symbols, bars)``, the newest bar last: the past to go on from.
    ages
        ``(symbols,)`` bars of each symbol within the window.

    Raises
    ------
    NotEvaluatedError
        An expression has an operation that is not known.
    """

    def __init__(
        self,
        formulas: Formulas,
        columns: Mapping[str, Array],
        ages: NDArray[np.int64],
    ) -> None:
        self.names = tuple(columns)
        self.formulas = formulas
        self._n_symbols, self._n_bars = next(iter(columns.values())).shape
        self._code: list[list[int]] = []
        self._numbers: list[float] = []
        self._constants: list[float] = []
        self._at: dict[Node, int] = {}
        self._n_states = 0
        needed: dict[Node, int] = {}
        for root in formulas.nodes:
            self._needs(root, 1, needed, set())
        self._places: dict[Node, tuple[int, int]] = {}
        room = 0
        for node, n in needed.items():
            if n > 1:
                self._places[node] = room, n
                room += 2 * n
        wanted = [self._register(root) for root in formulas.nodes]
        self._wanted = np.array(wanted, dtype=np.int64)
        self._needed_columns = [self.names.index(name) for name in formulas.needs]
        self._fill(Latest(columns, formulas.stages, ages), room)
        # Compiled code is loaded now, not on the first bar.
        none = np.empty(0, dtype=np.int64)
        self.step(np.empty((len(self.names), 0)), none, ages)

    def step(
        self, fresh: Array, rows: NDArray[np.int64], ages: NDArray[np.int64]
    ) -> dict[str, Array]:
        """One more bar of the symbols `rows`.

        Parameters
        ----------
        fresh
            ``(columns, rows)``, in the order of the columns given at the start.
        rows, ages
            Symbols with a bar; bars of all symbols within the window, this one counted.

        Returns
        -------
        dict
            Feature → ``(rows,)``, NaN where undefined.
        """
        from btq_assets.features.bar_kernel import run

        found = np.empty((self._wanted.size, rows.size))
        run(
            self._lines,
            self._settings,
            self._initial,
            rows,
            fresh,
            ages,
            self._past,
            self._seen,
            self._state,
            self._wanted,
            found,
        )
        held = np.isfinite(fresh[self._needed_columns]).all(axis=0)
        found[~(np.isfinite(found) & held)] = np.nan
        return dict(zip(self.formulas.features, found, strict=True))

    # -- reading the expressions ------------------------------------------------------------------

    def _resolved(self, node: Node) -> Node:
        """A stage's own expression for a column that is one."""
        while node.op == "column" and node.settings[0] in self.formulas.stages:
            node = self.formulas.stages[node.settings[0]]
        return node

    def _needs(self, node: Node, n: int, needed: dict[Node, int], seen: set[Node]) -> None:
        """How many of its last values each node is asked for."""
        node = self._resolved(node)
        needed[node] = max(needed.get(node, 0), n)
        if node in seen:
            return
        seen.add(node)
        for operand, back in zip(node.args, self._back(node), strict=True):
            self._needs(operand, back, needed, seen)

    def _back(self, node: Node) -> list[int]:
        """Last values that a node's newest one reads of each operand."""
        if node.op == "Shift":
            return [_shifted(node) + 1, 1]
        if node.op == "rolling":
            return [max(node.settings[1], 2)]
        if node.op in _WHOLE:
            return [max(self._n_bars, 2)]
        if node.op == "linearreg":
            return [max(node.settings[0], 2)]
        return [1] * len(node.args)

    def _register(self, node: Node) -> int:
        """Register that holds a node's newest value; its operations are put down first."""
        node = self._resolved(node)
        known = self._at.get(node)
        if known is None:
            known = self._at[node] = self._put(node)
            if node in self._places:
                at, n = self._places[node]
                self._line("Push", -1, a=known, at=at, held=n)
        return known

    def _put(self, node: Node) -> int:
        op = node.op
        if op == "literal":
            return self._constant(float(node.settings[0]))
        if op == "column":
            if node.settings[0] not in self.names:
                raise NotEvaluatedError(f"column {node.settings[0]}")
            return self._line("Load", self._new(), a=self.names.index(node.settings[0]))
        if op in ("Shift", "rolling", "linearreg") or op in _WHOLE:
            return self._windowed(node)
        of = [self._register(arg) for arg in node.args]
        if op == "Clip":
            low, high = node.settings
            bounds = iter(of[1:])
            found = of[0]
            if low:
                found = self._line("Maximum", self._new(), found, next(bounds))
            return self._line("Minimum", self._new(), found, next(bounds)) if high else found
        if op in _PAIRWISE:
            found = of[0]
            if op == "SumHorizontal":
                of = [self._constant(0.0), *of]
                found = of[0]
            for other in of[1:]:
                found = self._line(_PAIRWISE[op], self._new(), found, other)
            return found
        if op not in BINARY and op not in PLAIN and op != "where":
            raise NotEvaluatedError(op)
        return self._arithmetic(op, node, of)

    def _arithmetic(self, op: str, node: Node, of: list[int]) -> int:
        number = float(node.args[-1].settings[0]) if node.args[-1].op == "literal" else None
        if op == "TrueDivide" and number:
            # polars multiplies by the reciprocal of a single divisor.
            return self._line("Multiply", self._new(), of[0], self._constant(1 / number))
        if op == "Generic" and number == 2:
            return self._line("Square", self._new(), of[0])
        if op == "Log" and len(of) > 1:
            if number is None:
                raise NotEvaluatedError("a logarithm to a computed base")
            found = self._line("Log", self._new(), of[0])
            if number == np.e:
                return found
            return self._line(
                "TrueDivide", self._new(), found, self._constant(float(np.log(number)))
            )
        return self._line(op, self._new(), *of)

    def _windowed(self, node: Node) -> int:
        self._register(node.args[0])
        operand = self._resolved(node.args[0])
        if operand not in self._places:
            # A shift by nothing.
            return self._register(operand)
        at, held = self._places[operand]
        if node.op == "Shift":
            return self._line("Shift", self._new(), at=at, held=held, first=_shifted(node))
        if node.op == "rolling":
            function, window, enough, degrees = node.settings
            return self._line(
                function, self._new(), at=at, held=held, first=window, second=enough, third=degrees
            )
        state, self._n_states = self._n_states, self._n_states + _STATES.get(node.op, 0)
        whole = [int(value) for value in node.settings]
        alpha = 0.0
        if node.op == "ewm":
            alpha, whole = float(node.settings[0]), [int(node.settings[1])]
        first, second, third = (*whole, 0, 0, 0)[:3]
        return self._line(
            node.op, self._new(), at=at, held=held, first=first, second=second, third=third,
            state=state, number=alpha,
        )  # fmt: skip

    # -- writing them down ------------------------------------------------------------------------

    def _new(self) -> int:
        return self._constant(np.nan)

    def _constant(self, value: float) -> int:
        self._constants.append(value)
        return len(self._constants) - 1

    def _line(
        self, name: str, to: int, a: int = 0, b: int = 0, c: int = 0, *, at: int = 0,
        held: int = 1, first: int = 0, second: int = 0, third: int = 0, state: int = 0,
        number: float = 0.0,
    ) -> int:  # fmt: skip
        from btq_assets.features.bar_operations import CODES

        if name not in CODES:
            raise NotEvaluatedError(name)
        self._code.append([CODES[name], to, a, b, c, at, held, first, second, third, state])
        self._numbers.append(number)
        return to

    def _fill(self, latest: Latest, room: int) -> None:
        """The past of every operation that has one."""
        self._lines = np.array(self._code, dtype=np.int64)
        self._settings = np.array(self._numbers)
        self._initial = np.array(self._constants)
        self._past = np.full((self._n_symbols, max(room, 1)), np.nan)
        for node, (at, n) in sorted(self._places.items(), key=lambda item: -item[1][1]):
            values = latest.of(node, n)
            self._past[:, at : at + n] = self._past[:, at + n : at + 2 * n] = values
        self._seen = np.zeros(self._n_symbols, dtype=np.int64)
        self._state = np.full((self._n_symbols, max(self._n_states, 1)), np.nan)


def _shifted(node: Node) -> int:
    if node.args[1].op != "literal":
        raise NotEvaluatedError("a shift by a computed number")
    by = int(node.args[1].settings[0])
    if by < 0:
        raise NotEvaluatedError("a shift into the future")
    return by
