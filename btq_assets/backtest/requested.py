"""What scenarios of a notebook are called: kinds of market, crises and stresses by name.

Belongs here: names, and which days, window or stress each stands for. Does not belong here: the
figures (`scenarios`, `robustness`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.robustness import stresses
from btq_assets.backtest.robustness.crises import CRISES, find_crisis
from btq_assets.backtest.robustness.states import COMBINED, STATES
from btq_assets.risk.scenarios import Scenario

#: Dimension and state by scenario: a state of the market, of volatility, or of both at once.
OF_STATES = {
    f"{state}_volatility" if dimension == "volatility" else state: (dimension, state)
    for dimension, states in STATES.items()
    for state in states
}

BOOTSTRAP = "bootstrap"

#: Stresses asked for as a group.
STRESSES = (
    *("cost_0bps", "cost_5bps", "cost_10bps", "cost_20bps", "cost_50bps"),
    *(f"delay_{bars}" for bars in range(1, 6)),
    "half_liquidity",
    *(f"draw_{draw}" for draw in range(5)),
    BOOTSTRAP,
)

#: Share of the symbols a draw leaves out, and the seed of the draws.
DRAW_SHARE, DRAW_SEED = 0.2, 12_345

_COST = re.compile(r"cost_(\d+(?:\.\d+)?)bps")
_DELAY = re.compile(r"delay_(\d+)")
_DRAW = re.compile(r"draw_(\d+)")


@dataclass(frozen=True)
class Request:
    """One scenario asked for.

    Attributes
    ----------
    name
        As it was asked for; of a group, the member's own.
    state
        Canonical name of a kind of market.
    crisis, stress
        The window, or the change of terms.
    """

    name: str
    state: str | None = None
    crisis: Scenario | None = None
    stress: stresses.Stress | None = None

    @property
    def is_bootstrap(self) -> bool:
        """Whether quantiles over bootstrapped paths are asked for."""
        return self.state is None and self.crisis is None and self.stress is None


def resolve(names: Sequence[str], known_states: Sequence[str], n_symbols: int) -> list[Request]:
    """What each name stands for.

    Parameters
    ----------
    names
        Kinds of market (``bull`` or ``bull_market``, ``bull_high_volatility``, ...), crises (``covid_2020``, aliases too),
        stresses (``cost_20bps``, ``delay_3``, ``half_liquidity``, ``draw_0``, ``bootstrap``), or
        the groups ``regimes``, ``combined`` (market and volatility at once), ``crises``,
        ``stresses``, ``all``.
    known_states
        Kinds of market there are labels for.
    n_symbols
        With one symbol the group of stresses has no draws.

    Raises
    ------
    BacktestError
        Names that stand for nothing; the message lists what there is.
    """
    if isinstance(names, str):
        names = [names]
    groups = {
        "regimes": tuple(n for n in known_states if OF_STATES[n][0] != COMBINED),
        "combined": tuple(n for n in known_states if OF_STATES[n][0] == COMBINED),
        "crises": tuple(crisis.name for crisis in CRISES),
        "stresses": tuple(n for n in STRESSES if n_symbols > 1 or not _DRAW.fullmatch(n)),
    }
    groups["all"] = tuple(name for members in groups.values() for name in members)
    found: dict[str, Request] = {}
    unknown = []
    for name in names:
        for member in groups.get(name, (name,)):
            request = _request(member, known_states)
            if request is None:
                unknown.append(member)
            else:
                found.setdefault(member, request)
    if unknown:
        raise BacktestError(
            f"unknown scenario(s) {unknown}; there are {sorted(known_states)}, crises such as "
            f"{', '.join(crisis.name for crisis in CRISES[-3:])}, stresses such as cost_20bps, "
            "delay_3, half_liquidity, draw_0 and bootstrap, and the groups regimes, combined, "
            "crises, stresses and all"
        )
    return list(found.values())


def _request(name: str, known_states: Sequence[str]) -> Request | None:
    plain = name.strip().lower().removesuffix("_market").replace("_market_", "_")
    if plain in known_states:
        return Request(name, state=plain)
    if plain in OF_STATES:
        return None
    if plain == BOOTSTRAP:
        return Request(name)
    if match := _COST.fullmatch(plain):
        return Request(name, stress=stresses.cost_stress(float(match[1])))
    if match := _DELAY.fullmatch(plain):
        return Request(name, stress=stresses.delay_stress(int(match[1])))
    if match := _DRAW.fullmatch(plain):
        stress = stresses.universe_stress(int(match[1]), DRAW_SHARE, DRAW_SEED)
        return Request(name, stress=stress)
    if plain == stresses.HALF_LIQUIDITY.case:
        return Request(name, stress=stresses.HALF_LIQUIDITY)
    try:
        return Request(name, crisis=find_crisis(plain))
    except BacktestError:
        return None
