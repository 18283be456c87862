"""The notation of the 101 alphas: read as a tree, and what follows from the tree alone.

Belongs here: the parser, how far back a formula looks, how it scales, which names it reads. Does not
belong here: the formulas (`alpha101_paper`), values (`alpha101`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

#: Prices, as powers of a currency; shares, one over it: a split multiplies one and divides the other.
_DEGREES = {
    "open": 1,
    "high": 1,
    "low": 1,
    "close": 1,
    "vwap": 1,
    "volume": -1,
    "returns": 0,
    "cap": 0,
}

_TOKEN = re.compile(r"\s*(\d+\.?\d*|\.\d+|[A-Za-z_][\w.]*|\|\||==|[-+*/^<>?:(),])")

#: Functions of time whose last argument is a window, and those whose last argument is a delay.
WINDOWED = frozenset(
    [
        "sum",
        "product",
        "stddev",
        "ts_min",
        "ts_max",
        "ts_argmax",
        "ts_argmin",
        "ts_rank",
        "decay_linear",
        "correlation",
        "covariance",
    ]
)
DELAYED = frozenset(("delta", "delay"))
#: Functions of all symbols at one time.
ACROSS = frozenset(("rank", "scale", "indneutralize"))
_ORDINAL = frozenset(("ts_argmax", "ts_argmin", "ts_rank", "correlation", "sign"))

#: Degree of the number zero, which adds to anything; and of a logarithm of what has a scale.
_ANY, _LOG = "any", "log"
Degree = float | str


class FormulaError(ValueError):
    """A formula cannot be read."""


class NotHomogeneousError(ValueError):
    """A formula adds, ranks or compares what scales differently."""


@dataclass(frozen=True)
class Node:
    """A number, a name, or an operation on other nodes.

    Parameters
    ----------
    kind
        ``number``, ``name``, the operator, or the function in lower case; ``if`` for ``x ? y : z``.
    parts
        Operands in order.
    value
        Of a number.
    name
        Of a name, in lower case.
    """

    kind: str
    parts: tuple[Node, ...] = ()
    value: float = 0.0
    name: str = ""

    @property
    def days(self) -> int:
        """Window or delay of a function of time: the number rounded down, as the paper says."""
        return int(self.parts[-1].value)


@lru_cache(maxsize=512)
def parse(text: str) -> Node:
    """Read a formula.

    Raises
    ------
    FormulaError
        Something is left over, missing, or not of the notation.
    """
    tokens = []
    place = 0
    while place < len(text.rstrip()):
        match = _TOKEN.match(text, place)
        if match is None:
            raise FormulaError(f"{text[place : place + 20]!r} is not of the notation in {text!r}")
        tokens.append(match[1])
        place = match.end()
    reader = _Reader(tokens, text)
    node = reader.choice()
    if reader.tokens:
        raise FormulaError(f"{reader.tokens[0]!r} is left over in {text!r}")
    return node


class _Reader:
    """Recursive descent; each method reads what binds more strongly than the one before it."""

    _LEVELS = (("||",), ("<", ">", "=="), ("+", "-"), ("*", "/"))

    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens = tokens
        self._text = text

    def choice(self) -> Node:
        condition = self._binary(0)
        if not self._took("?"):
            return condition
        yes = self.choice()
        self._need(":")
        return Node("if", (condition, yes, self.choice()))

    def _binary(self, level: int) -> Node:
        if level == len(self._LEVELS):
            return self._signed()
        left = self._binary(level + 1)
        while self.tokens and self.tokens[0] in self._LEVELS[level]:
            operator = self.tokens.pop(0)
            left = Node(operator, (left, self._binary(level + 1)))
        return left

    def _signed(self) -> Node:
        if self._took("-"):
            operand = self._signed()
            if operand.kind == "number":
                return Node("number", value=-operand.value)
            return Node("*", (Node("number", value=-1.0), operand))
        base = self._atom()
        return Node("^", (base, self._signed())) if self._took("^") else base

    def _atom(self) -> Node:
        if not self.tokens:
            raise FormulaError(f"something is missing at the end of {self._text!r}")
        word = self.tokens.pop(0)
        if word == "(":
            node = self.choice()
            self._need(")")
            return node
        if word[0].isdigit() or word[0] == ".":
            return Node("number", value=float(word))
        if not word[0].isalpha():
            raise FormulaError(f"{word!r} is out of place in {self._text!r}")
        name = word.lower()
        if not self._took("("):
            return Node("name", name=name)
        parts = [self.choice()]
        while self._took(","):
            parts.append(self.choice())
        self._need(")")
        # The paper: min(x, d) and max(x, d) with a number of days are those over time.
        if name in ("min", "max") and parts[-1].kind == "number":
            name = f"ts_{name}"
        return Node(name, tuple(parts))

    def _took(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._took(token):
            raise FormulaError(f"{token!r} is missing in {self._text!r}")


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for part in node.parts:
        yield from walk(part)


def names(node: Node) -> tuple[str, ...]:
    """Names read, each once; ``adv20`` and the like as they are."""
    return tuple(dict.fromkeys(n.name for n in walk(node) if n.kind == "name"))


def lookback(node: Node) -> int:
    """Sessions before the first value in which everything exists."""
    if node.kind == "name":
        if node.name.startswith("adv"):
            return int(node.name[3:]) - 1
        return int(node.name == "returns")
    deepest = max((lookback(part) for part in node.parts), default=0)
    if node.kind in WINDOWED:
        return deepest + node.days - 1
    return deepest + node.days if node.kind in DELAYED else deepest


def is_scale_free(node: Node) -> bool:
    """Whether multiplying one symbol's prices, and dividing its shares, changes no value."""
    try:
        return _degree(node) in (0, _ANY)
    except NotHomogeneousError:
        return False


def _degree(node: Node) -> Degree:
    """Power of the currency a value scales with."""
    if node.kind == "number":
        return _ANY if node.value == 0 else 0
    if node.kind == "name":
        return _DEGREES.get(node.name, 0)
    own = node.parts[:-1] if node.kind in WINDOWED | DELAYED | {"indneutralize"} else node.parts
    degrees = [_degree(part) for part in own]
    if node.kind == "log":
        return 0 if degrees[0] == 0 else _LOG
    if node.kind == "delta" and degrees[0] == _LOG:
        return 0
    if node.kind in _ORDINAL:
        return 0
    if _LOG in degrees:
        raise NotHomogeneousError("a logarithm of a price or a volume by itself")
    if node.kind in ACROSS:
        return _same([*degrees, 0])
    return _combined(node, [0 if degree == _ANY else float(degree) for degree in degrees], degrees)


def _combined(node: Node, powers: list[float], degrees: list[Degree]) -> Degree:
    if node.kind in ("*", "covariance"):
        return sum(powers)
    if node.kind == "/":
        return powers[0] - powers[1]
    if node.kind in ("^", "signedpower"):
        exponent = node.parts[1]
        return powers[0] * exponent.value if exponent.kind == "number" else _same([*degrees, 0])
    if node.kind == "product":
        return powers[0] * node.days
    if node.kind in ("<", ">", "=="):
        _same(degrees)
        return 0
    return _same(degrees[1:] if node.kind == "if" else degrees)


def _same(degrees: list[Degree]) -> Degree:
    known = {degree for degree in degrees if degree != _ANY}
    if len(known) > 1:
        raise NotHomogeneousError(f"degrees {sorted(map(str, known))} meet")
    return known.pop() if known else _ANY
