"""How a large order is cut over time: TWAP, VWAP, POV, Almgren-Chriss, implementation shortfall.

Belongs here: children of a parent order, in shares and times. Does not belong here: places
(`routing`), whether a child trades (`engine.fills`).

Every schedule gives quantities that sum to the parent exactly. With a lot, cumulative quantities
are rounded to it, so no child is more than one lot from its ideal; the last takes what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from btq_assets.engine.codes import OrderKind, TimeInForce
from btq_assets.engine.fills import FillTerms, OrderFill, execute
from btq_assets.execution.almgren_chriss import (
    ImpactModel,
    ScheduleError,
    kappa_of,
    optimal_trajectory,
)
from btq_assets.execution.events import OrderTerms, client_order_id

DAY_NS = 86_400_000_000_000

#: Share of the parent that a front-loaded schedule may leave to its last slice.
RESIDUAL = 0.01


@dataclass(frozen=True)
class Schedule:
    """Slices of a parent order.

    Attributes
    ----------
    start, end
        Nanoseconds, ``int64[N]``: a slice may trade in ``(start, end]``.
    quantity
        Signed shares, ``float64[N]``; may be zero.
    unscheduled
        Signed shares that found no room (POV, participation caps); 0 otherwise.
    """

    start: np.ndarray
    end: np.ndarray
    quantity: np.ndarray
    unscheduled: float = 0.0

    def children(self, parent: OrderTerms, *, account: str) -> list[OrderTerms]:
        """Orders of the slices that are not empty; each expires at the end of its slice.

        Client ids are those of the parent's decision with the number of the slice, so the same
        parent always has the same children. Orders of one moment (IOC, FOK, auctions) keep their
        time in force.
        """
        lasting = parent.kind < OrderKind.MARKET_ON_OPEN and parent.force not in (
            TimeInForce.IOC,
            TimeInForce.FOK,
        )
        return [
            replace(
                parent,
                client_id=client_order_id(
                    account,
                    parent.strategy,
                    parent.universe,
                    parent.symbol,
                    parent.decided_at,
                    child=number + 1,
                    venue=parent.venue,
                ),
                quantity=float(quantity),
                active_at=max(int(start), parent.decided_at),
                force=TimeInForce.GTT if lasting else parent.force,
                expire_at=int(end),
                parent_id=parent.client_id,
            )
            for number, (start, end, quantity) in enumerate(
                zip(self.start, self.end, self.quantity, strict=True)
            )
            if quantity
        ]


def twap(quantity: float, start: int, end: int, n_slices: int, *, lot: float = 0.0) -> Schedule:
    """Equal slices in equal times."""
    return _cut(quantity, start, end, np.ones(_positive(n_slices)), lot)


def vwap(
    quantity: float, start: int, end: int, profile: Sequence[float] | np.ndarray, *, lot: float = 0
) -> Schedule:
    """Slices in proportion to the volume expected in each (`volume_profile`).

    Raises
    ------
    ScheduleError
        The profile is empty, has a negative or missing value, or sums to zero.
    """
    weights = np.asarray(profile, dtype=float)
    if weights.ndim != 1 or not weights.size or not (weights >= 0).all() or not weights.sum() > 0:
        raise ScheduleError(
            "profile: needs one volume >= 0 per slice, not all zero and none missing"
        )
    return _cut(quantity, start, end, weights, lot)


def volume_profile(volumes: np.ndarray) -> np.ndarray:
    """Mean share of each slice in the volume of its day.

    Parameters
    ----------
    volumes
        ``float64[days, slices]`` of days before the one to be traded. A day with a missing slice
        or without volume is left out.

    Returns
    -------
    numpy.ndarray
        ``float64[slices]``, sums to one.

    Raises
    ------
    ScheduleError
        No day is whole.
    """
    totals = volumes.sum(axis=1)
    whole = np.isfinite(totals) & (totals > 0)
    if not whole.any():
        raise ScheduleError("volume_profile: no day with all slices and any volume")
    return np.asarray((volumes[whole] / totals[whole, None]).mean(axis=0))


def pov(
    quantity: float,
    times: np.ndarray,
    volumes: np.ndarray,
    rate: float,
    *,
    lot: float = 0.0,
) -> Schedule:
    """Follow the market: after each interval trade so that own volume is `rate` of all volume.

    Parameters
    ----------
    times
        Ends of the intervals, nanoseconds, ``int64[K + 1]``.
    volumes
        Volume of others in the first K - 1 or more intervals, ``float64[>= K - 1]``. The slice of
        interval k reads the volume of intervals before k alone, so the first is empty.
    rate
        Own share of all volume, own included, in (0, 1): ``own = rate / (1 - rate) * others``.

    Returns
    -------
    Schedule
        With what the market had no room for in `unscheduled`.
    """
    if not 0 < rate < 1:
        raise ScheduleError(f"rate = {rate!r}: a share of volume between 0 and 1")
    n = times.size - 1
    seen = np.asarray(volumes, dtype=float)[: n - 1]
    if n < 1 or seen.size < n - 1 or not (seen >= 0).all():
        raise ScheduleError("volumes: one >= 0 for each interval but the last; none missing")
    allowed = np.concatenate([[0.0], np.cumsum(seen)]) * rate / (1.0 - rate)
    done = np.minimum(allowed, abs(quantity))
    if lot > 0:
        done = np.where(done >= abs(quantity), abs(quantity), np.floor(done / lot + 1e-9) * lot)
    slices = np.sign(quantity) * np.diff(done, prepend=0.0)
    return Schedule(times[:-1], times[1:], slices, float(quantity - slices.sum()))


def almgren_chriss(
    quantity: float,
    start: int,
    end: int,
    n_slices: int,
    model: ImpactModel,
    risk_aversion: float,
    *,
    lot: float = 0.0,
) -> Schedule:
    """Slices of the optimal trajectory between two times; a day is 24 hours of nanoseconds.

    A model in days of trading needs `start` and `end` on a clock that counts only those.
    """
    days = (end - start) / DAY_NS
    if days <= 0:
        raise ScheduleError(f"end {end} must be after start {start}")
    path = optimal_trajectory(abs(quantity), days, _positive(n_slices), model, risk_aversion)
    return _cut(quantity, start, end, path.trades, lot)


def implementation_shortfall(
    quantity: float,
    start: int,
    slice_ns: int,
    model: ImpactModel,
    risk_aversion: float,
    *,
    expected_volume: float = np.inf,
    participation: float = 1.0,
    max_slices: int = 1_000,
    lot: float = 0.0,
) -> Schedule:
    """Against the arrival price, with the horizon left open: holdings fall as ``exp(-kappa t)``.

    The infinite-horizon limit of Almgren and Chriss. Each slice is held to `participation` of the
    volume expected in it; what a slice may not take moves to the next ones. It ends when less than
    1 % of the parent is left, which the last slice takes if it may.

    Parameters
    ----------
    risk_aversion
        lambda > 0: without risk there is no hurry and no end.
    expected_volume
        Shares traded by all in one slice.

    Returns
    -------
    Schedule
        As long as it takes, at most `max_slices`; what is left then is `unscheduled`.
    """
    if not risk_aversion > 0:
        raise ScheduleError("risk_aversion = 0: trading never ends; use almgren_chriss")
    if not 0 < participation <= 1 or not expected_volume > 0 or slice_ns <= 0:
        raise ScheduleError(
            f"participation = {participation!r}, expected_volume = {expected_volume!r}, "
            f"slice_ns = {slice_ns!r}"
        )
    step = slice_ns / DAY_NS
    fall = 1.0 - np.exp(-kappa_of(model, risk_aversion, step) * step)
    slices: list[float] = []
    left, most = abs(quantity), participation * expected_volume
    wanted_left = left
    if lot > 0:
        most = np.floor(most / lot + 1e-9) * lot
        if most == 0:
            raise ScheduleError(
                f"a slice may take {participation * expected_volume:g}: below a lot"
            )
    while left > 0 and len(slices) < max_slices:
        wanted_left *= 1.0 - fall
        wish = left - wanted_left if wanted_left > RESIDUAL * abs(quantity) else left
        take = min(wish, most)
        if lot > 0 and take < left:
            take = min(most, np.ceil(take / lot - 1e-9) * lot)
        take = min(take, left)
        slices.append(take)
        left -= take
    sizes = np.sign(quantity) * np.array(slices)
    if left <= 0:
        sizes[-1] = quantity - sizes[:-1].sum()
    edges = start + slice_ns * np.arange(sizes.size + 1, dtype=np.int64)
    return Schedule(edges[:-1], edges[1:], sizes, float(np.sign(quantity) * max(left, 0.0)))


def fill_children(
    children: Sequence[OrderTerms], events: Sequence[Any], terms: FillTerms
) -> list[tuple[str, OrderFill]]:
    """Children against the events of a market, by the engine's own fill model.

    Each child sees every event until it has ended. Children share no volume here: their slices do
    not overlap.

    Returns
    -------
    list of (client_id, OrderFill)
    """
    done = []
    for child in children:
        order = child.live()
        for event in events:
            if not order.is_open:
                break
            fill = execute(order, event, terms)
            if fill is not None:
                done.append((child.client_id, fill))
    return done


def _cut(quantity: float, start: int, end: int, weights: np.ndarray, lot: float) -> Schedule:
    if not np.isfinite(quantity) or quantity == 0:
        raise ScheduleError(f"quantity = {quantity!r}: signed shares, not zero")
    n = weights.size
    if end - start < n:
        raise ScheduleError(f"end {end} must be after start {start}, by {n} slices at least")
    if lot < 0:
        raise ScheduleError(f"lot = {lot!r}: needs >= 0")
    reached = np.cumsum(weights) / weights.sum() * abs(quantity)
    if lot > 0:
        reached = np.minimum(np.round(reached / lot) * lot, abs(quantity))
    reached[-1] = abs(quantity)
    edges = start + (end - start) * np.arange(n + 1, dtype=np.int64) // n
    return Schedule(edges[:-1], edges[1:], np.sign(quantity) * np.diff(reached, prepend=0.0))


def _positive(n_slices: int) -> int:
    if n_slices < 1:
        raise ScheduleError(f"n_slices = {n_slices!r}: needs at least 1")
    return n_slices
