"""The expressions of Alpha158 over a range of symbols, built from the rolling kernels.

Belongs here: which kernel gives which expression. Does not belong here: names of columns, frames
(`features.alpha158`).

Two modes. ``compatible`` is qlib: a window has a value where one of its values exists, quotients
have 1e-12 added to the divisor, and a window whose deviation is at most 2e-5 has no correlation
and no R squared. Otherwise windows are full, nothing is added, and what is divided by
zero is missing; a window counts as constant where its deviation is 1e-7 of its mean, so that the
scale of prices does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from btq_assets.features.kernels import moments, order, pairs

Array = NDArray[np.float64]

#: Fields an evaluation reads; ``log_volume`` is the logarithm of volume plus one.
FIELDS = ("open", "high", "low", "close", "volume", "log_volume", "vwap")

_NONE = np.empty(0)
_NONE_32 = np.empty(0, np.float32)
_GUARD = 1e-12
_STILL = 2e-5
_STILL_SHARE = 1e-7
_QUANTILES = np.array([0.8, 0.2])


@dataclass(frozen=True)
class Part:
    """Some symbols: what is known of them, and where results go.

    Parameters
    ----------
    fields
        One array for each of `FIELDS`, symbols one after the other.
    starts
        ``int64[symbols + 1]``: where each symbol begins, and the number of rows.
    out
        ``float32`` results by expression, such as ``roc_5``; others are not computed.
    compatible
        Whether qlib's conventions hold.
    """

    fields: Mapping[str, Array]
    starts: NDArray[np.int64]
    out: Mapping[str, NDArray[np.float32]]
    compatible: bool = False

    @property
    def guard(self) -> float:
        """What is added to divisors that may be zero."""
        return _GUARD if self.compatible else 0.0

    @property
    def still(self) -> tuple[float, float]:
        """Deviation below which a window is constant: absolute, and as a share of the mean."""
        return (_STILL, 0.0) if self.compatible else (0.0, _STILL_SHARE)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.starts[-1])

    def wants(self, n: int, *kinds: str) -> bool:
        """Whether any of the expressions `kinds` is wanted for the window `n`."""
        return any(f"{kind}_{n}" in self.out for kind in kinds)

    def store(self, name: str, values: Callable[[], Array]) -> None:
        """Compute and keep an expression that is wanted."""
        if name in self.out:
            self.out[name][:] = values()

    def target(self, name: str) -> NDArray[np.float32]:
        """Where a kernel writes an expression, kept or not."""
        found = self.out.get(name)
        return np.empty(self.rows, np.float32) if found is None else found

    def delayed(self, values: Array, n: int) -> Array:
        """Values `n` rows ago of the same symbol."""
        late = np.empty_like(values)
        late[n:] = values[: max(values.size - n, 0)]
        for first, last in zip(self.starts[:-1], self.starts[1:], strict=True):
            late[first : min(first + n, last)] = np.nan
        return late

    def sums(self, values: Array, n: int) -> Array:
        """Rolling sums."""
        out = np.empty(self.rows)
        moments.spread(
            values, self.starts, n, not self.compatible, 1, _NONE, out, _NONE, _NONE
        )  # fmt: skip
        return out

    def means(self, values: Array, n: int) -> Array:
        """Rolling means."""
        out = np.empty(self.rows)
        moments.spread(
            values, self.starts, n, not self.compatible, 1, _NONE, _NONE, out, _NONE
        )  # fmt: skip
        return out


def evaluate(part: Part, windows: tuple[int, ...]) -> None:
    """Compute every wanted expression of a part.

    Parameters
    ----------
    part
        Fields, and where the results go.
    windows
        Lengths of the rolling windows.
    """
    with np.errstate(all="ignore"):
        _bars(part)
        for group in (_prices, _volumes):
            group(part, windows)


def _bars(part: Part) -> None:
    """Shape of the bar, and prices over the close."""
    opened, high, low, close = (part.fields[name] for name in ("open", "high", "low", "close"))
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    width = high - low + part.guard
    parts: dict[str, Callable[[], Array]] = {
        "kmid": lambda: close - opened,
        "klen": lambda: high - low,
        "kup": lambda: high - top,
        "klow": lambda: bottom - low,
        "ksft": lambda: 2 * close - high - low,
    }
    for name, value in parts.items():
        part.store(name, lambda value=value: value() / opened)  # type: ignore[misc]
        part.store(f"{name}2", lambda value=value: value() / width)  # type: ignore[misc]
    for name in ("open", "high", "low", "vwap"):
        part.store(f"{name}_0", lambda name=name: part.fields[name] / close)  # type: ignore[misc]


def _prices(part: Part, windows: tuple[int, ...]) -> None:
    """Expressions of prices alone."""
    close = part.fields["close"]
    before = part.delayed(close, 1)
    rise, fall = _moves(close, before)
    up, down = (close > before).astype(np.float64), (close < before).astype(np.float64)
    if not part.compatible:
        unknown = np.isnan(rise)
        up[unknown] = np.nan
        down[unknown] = np.nan
    for n in windows:
        part.store(f"roc_{n}", lambda n=n: part.delayed(close, n) / close)  # type: ignore[misc]
        if part.wants(n, "ma", "std", "beta", "rsqr", "resi"):
            moments.line(
                close, part.starts, n, not part.compatible, close, *part.still,
                *(part.target(f"{kind}_{n}") for kind in ("ma", "std", "beta", "rsqr", "resi")),
            )  # fmt: skip
        _extremes(part, n)
        if part.wants(n, "qtlu", "qtld"):
            found = np.empty((2, part.rows), np.float32)
            order.quantiles(
                close, part.starts, n, not part.compatible, _QUANTILES, close, found
            )  # fmt: skip
            part.store(f"qtlu_{n}", lambda found=found: found[0])  # type: ignore[misc]
            part.store(f"qtld_{n}", lambda found=found: found[1])  # type: ignore[misc]
        if part.wants(n, "rank"):
            order.rank(close, part.starts, n, not part.compatible, part.out[f"rank_{n}"])
        if part.wants(n, "cntp", "cntn", "cntd"):
            _difference(part, n, ("cntp", "cntn", "cntd"), part.means(up, n), part.means(down, n))
        if part.wants(n, "sump", "sumn", "sumd"):
            _shares(part, n, ("sump", "sumn", "sumd"), rise, fall)


def _extremes(part: Part, n: int) -> None:
    """Highest high and lowest low, when they were, and where the close lies between."""
    if not part.wants(n, "max", "min", "rsv", "imax", "imin", "imxd"):
        return
    close = part.fields["close"]
    highest, highest_at, lowest, lowest_at = (np.empty(part.rows) for _ in range(4))
    full = not part.compatible
    order.extreme(part.fields["high"], part.starts, n, full, 1.0, highest, highest_at)
    order.extreme(part.fields["low"], part.starts, n, full, -1.0, lowest, lowest_at)
    part.store(f"max_{n}", lambda: highest / close)
    part.store(f"min_{n}", lambda: lowest / close)
    part.store(f"rsv_{n}", lambda: (close - lowest) / (highest - lowest + part.guard))
    part.store(f"imax_{n}", lambda: highest_at / n)
    part.store(f"imin_{n}", lambda: lowest_at / n)
    part.store(f"imxd_{n}", lambda: (highest_at - lowest_at) / n)


def _volumes(part: Part, windows: tuple[int, ...]) -> None:
    """Expressions of volume, alone and with prices."""
    close, volume = part.fields["close"], part.fields["volume"]
    volume_before = part.delayed(volume, 1)
    ratio = close / part.delayed(close, 1)
    # Volume out of nothing has no ratio; pandas reads infinity as missing, too.
    log_ratio = np.log(volume / volume_before + 1)
    log_ratio[np.isinf(log_ratio)] = np.nan
    rise, fall = _moves(volume, volume_before)
    moved = np.abs(ratio - 1) * volume
    unit = volume + part.guard
    full = not part.compatible
    for n in windows:
        for name, x, y in (
            ("corr", close, part.fields["log_volume"]),
            ("cord", ratio, log_ratio),
        ):
            if part.wants(n, name):
                pairs.pair(
                    x, y, part.starts, n, full, 1, *part.still, _NONE_32, part.out[f"{name}_{n}"]
                )
        if part.wants(n, "vma", "vstd"):
            moments.spread(
                volume, part.starts, n, full, 1, unit, _NONE_32,
                part.target(f"vma_{n}"), part.target(f"vstd_{n}"),
            )  # fmt: skip
        if part.wants(n, "wvma"):
            mean, deviation = np.empty(part.rows), np.empty(part.rows)
            moments.spread(moved, part.starts, n, full, 1, _NONE, _NONE, mean, deviation)
            part.out[f"wvma_{n}"][:] = deviation / (mean + part.guard)
        if part.wants(n, "vsump", "vsumn", "vsumd"):
            _shares(part, n, ("vsump", "vsumn", "vsumd"), rise, fall)


def _moves(values: Array, before: Array) -> tuple[Array, Array]:
    """Rises and falls, both positive."""
    change = values - before
    return np.maximum(change, 0.0), np.maximum(-change, 0.0)


def _shares(part: Part, n: int, names: tuple[str, str, str], rise: Array, fall: Array) -> None:
    """Share of the rises, of the falls, and their difference, in the sum of all moves."""
    risen, fallen = part.sums(rise, n), part.sums(fall, n)
    moved = risen + fallen + part.guard
    _difference(part, n, names, risen / moved, fallen / moved)


def _difference(part: Part, n: int, names: tuple[str, str, str], a: Array, b: Array) -> None:
    part.store(f"{names[0]}_{n}", lambda: a)
    part.store(f"{names[1]}_{n}", lambda: b)
    part.store(f"{names[2]}_{n}", lambda: a - b)
