"""Crisis windows, and their replay on weights.

Belongs here: the catalogue (peak to trough of the S&P 500 by closing prices unless stated) and
what holding given weights through a window would have meant. Does not belong here: which weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from btq_assets.engine.metrics import max_drawdown
from btq_assets.risk.measures import RiskError

#: A window counts as covered when the data begin and end within so many days of it.
SLACK = timedelta(days=5)


@dataclass(frozen=True)
class Scenario:
    """A crisis window.

    Attributes
    ----------
    name
        Name in tables.
    start, end
        Closes between which the window runs: the first return is that of the session after
        ``start``.
    description
        What happened.
    aliases
        Other names it answers to.
    """

    name: str
    start: date
    end: date
    description: str
    aliases: tuple[str, ...] = ()


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        "black_monday_1987",
        date(1987, 8, 25),
        date(1987, 12, 4),
        "Crash of October 1987",
        ("1987_crash", "black_monday"),
    ),
    Scenario(
        "gulf_war_1990",
        date(1990, 7, 16),
        date(1990, 10, 11),
        "Invasion of Kuwait and oil-price shock",
        ("kuwait_1990",),
    ),
    Scenario(
        "bond_massacre_1994",
        date(1994, 2, 2),
        date(1994, 4, 4),
        "Surprise tightening by the Federal Reserve",
        ("1994_bonds",),
    ),
    Scenario(
        "asia_1997",
        date(1997, 10, 7),
        date(1997, 10, 27),
        "Asian currency crisis reaches New York",
        ("asian_crisis", "asia"),
    ),
    Scenario(
        "ltcm_1998",
        date(1998, 7, 17),
        date(1998, 8, 31),
        "Russian default and LTCM",
        ("russia_1998", "ltcm"),
    ),
    Scenario(
        "dot_com_2000",
        date(2000, 3, 24),
        date(2002, 10, 9),
        "Dot-com bear market",
        ("dot_com", "2000_crash", "dot_com_bubble"),
    ),
    Scenario(
        "september_2001",
        date(2001, 9, 10),
        date(2001, 9, 21),
        "Attacks of 11 September and the reopening",
        ("sept_11_2001", "9_11"),
    ),
    Scenario(
        "2008_crash",
        date(2007, 10, 9),
        date(2009, 3, 9),
        "Global financial crisis",
        ("crash_2008", "gfc_2008", "gfc", "financial_crisis_2008", "2008"),
    ),
    Scenario(
        "lehman_2008",
        date(2008, 9, 12),
        date(2008, 11, 20),
        "From the last close before Lehman's failure to the November low",
        ("lehman",),
    ),
    Scenario(
        "debt_ceiling_2011",
        date(2011, 7, 22),
        date(2011, 10, 3),
        "Downgrade of the United States and the euro crisis",
        ("euro_crisis_2011", "2011"),
    ),
    Scenario(
        "china_2015",
        date(2015, 8, 17),
        date(2015, 8, 25),
        "Devaluation of the renminbi",
        ("renminbi_2015",),
    ),
    Scenario(
        "volmageddon_2018",
        date(2018, 1, 26),
        date(2018, 2, 8),
        "Collapse of short-volatility products",
        ("vix_2018",),
    ),
    Scenario(
        "q4_2018",
        date(2018, 9, 20),
        date(2018, 12, 24),
        "Sell-off of the fourth quarter of 2018",
        ("2018_q4",),
    ),
    Scenario(
        "covid_2020",
        date(2020, 2, 19),
        date(2020, 3, 23),
        "Covid crash",
        ("covid", "covid_crash", "covid_19", "2020_crash"),
    ),
    Scenario(
        "bear_2022",
        date(2022, 1, 3),
        date(2022, 10, 12),
        "Inflation and rate rises of 2022",
        ("inflation_2022", "2022_bear"),
    ),
    Scenario(
        "banks_2023",
        date(2023, 3, 6),
        date(2023, 3, 13),
        "Failure of Silicon Valley Bank",
        ("svb_2023",),
    ),
)


def find_scenario(name: str) -> Scenario:
    """The scenario called `name`, case and separators ignored.

    Raises
    ------
    RiskError
        Unknown name; the message lists the known ones.
    """
    wanted = _plain(name)
    for scenario in SCENARIOS:
        if wanted in map(_plain, (scenario.name, *scenario.aliases)):
            return scenario
    known = ", ".join(scenario.name for scenario in SCENARIOS)
    raise RiskError(f"no stress window is called {name!r}; known: {known}")


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


@dataclass(frozen=True)
class Replay:
    """Outcome of one window; figures are ``None`` where the data do not cover it.

    Attributes
    ----------
    scenario
        The window.
    first, last
        Positions of its first and last close in the data; ``None`` when not covered.
    window_return
        Simple return over the window.
    max_drawdown
        Deepest fall inside it, a positive fraction.
    worst_day
        Worst single-session return.
    note
        What is missing, or empty.
    """

    scenario: Scenario
    first: int | None = None
    last: int | None = None
    window_return: float | None = None
    max_drawdown: float | None = None
    worst_day: float | None = None
    note: str = ""

    @property
    def covered(self) -> bool:
        """Whether the data cover the whole window."""
        return self.first is not None


def window_positions(days: NDArray[np.datetime64], scenario: Scenario) -> tuple[int, int] | None:
    """Positions of the closes that open and end the window, or ``None`` when not covered.

    Parameters
    ----------
    days
        Session dates, ascending, ``datetime64[D]``.
    """
    start, end = np.datetime64(scenario.start), np.datetime64(scenario.end)
    first = int(np.searchsorted(days, start, side="right")) - 1
    last = int(np.searchsorted(days, end, side="right")) - 1
    slack = np.timedelta64(SLACK.days, "D")
    if first < 0 or last <= first or start - days[first] > slack or end - days[last] > slack:
        return None
    return first, last


def not_covered(days: NDArray[np.datetime64], scenario: Scenario) -> str:
    """Why a window is not covered."""
    span = f"{days[0]} to {days[-1]}" if len(days) else "nothing"
    return f"not covered: the window is {scenario.start} to {scenario.end}, the data are {span}"


def replay(
    weights: NDArray[np.float64],
    prices: NDArray[np.float64],
    days: NDArray[np.datetime64],
    scenario: Scenario,
    symbols: Sequence[str] = (),
) -> Replay:
    """Buy `weights` at the window's first close and hold them, without trading, to its last.

    Wealth is ``1 + sum_i w_i (P_t,i / P_0,i - 1)``; what is not invested is cash that earns
    nothing.

    Parameters
    ----------
    weights
        Shares of equity, shape ``(N,)``.
    prices
        Adjusted closes, shape ``(T, N)``; NaN where there is none.
    days
        Session dates, shape ``(T,)``.
    scenario
        The window.
    symbols
        Names for the note on missing prices.
    """
    found = window_positions(days, scenario)
    if found is None:
        return Replay(scenario, note=not_covered(days, scenario))
    first, last = found
    held = np.flatnonzero(weights != 0)
    window = prices[first : last + 1, held]
    gaps = np.isnan(window).any(axis=0)
    if gaps.any():
        names = [symbols[i] if len(symbols) else str(i) for i in held[gaps]]
        return Replay(scenario, note=f"no price throughout the window for {', '.join(names)}")
    wealth = 1.0 + (window / window[0] - 1.0) @ weights[held]
    return outcome(scenario, first, last, wealth)


def outcome(scenario: Scenario, first: int, last: int, wealth: NDArray[np.float64]) -> Replay:
    """Figures of a window from the wealth at each of its closes, the first included."""
    if not (wealth > 0).all():
        return Replay(scenario, note="equity is not positive throughout the window")
    return Replay(
        scenario,
        first,
        last,
        window_return=float(wealth[-1] / wealth[0] - 1),
        max_drawdown=max_drawdown(wealth),
        worst_day=float(np.min(wealth[1:] / wealth[:-1] - 1)),
    )
