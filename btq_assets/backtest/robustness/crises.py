"""Dated crisis windows, and what a run went through in each.

Belongs here: the catalogue of windows with their sources, and the figures of a path inside one.
Does not belong here: replaying given weights through a window (the risk room, which shares the
windows and the arithmetic).

Windows run from close to close: the first return is that of the session after ``start``. Windows
of bear markets are peak to trough of the S&P 500 by closing prices, as published by S&P Dow Jones
Indices; the others run from the last close before the event to the low that followed it.

=====================  ============================================================================
window                 source of the dates
=====================  ============================================================================
black_monday_1987      Presidential Task Force on Market Mechanisms (1988), *Report* ("Brady")
gulf_war_1990          invasion of 2 August 1990; S&P 500 peak 16 July, trough 11 October
bond_massacre_1994     FOMC statement of 4 February 1994; S&P 500 trough 4 April
asia_1997              Securities and Exchange Commission (1998), *Trading Analysis of October 27
                       and 28, 1997*
ltcm_1998              President's Working Group (1999), *Hedge Funds, Leverage, and the Lessons of
                       Long-Term Capital Management*; S&P 500 peak 17 July, low 31 August
dot_com_2000           S&P 500 peak 24 March 2000, trough 9 October 2002
september_2001         exchanges closed 11 to 14 September 2001; S&P 500 low 21 September
quant_quake_2007       Khandani and Lo (2007), *What happened to the quants in August 2007?*: losses
                       from 6 to 9 August
2008_crash             S&P 500 peak 9 October 2007, trough 9 March 2009
lehman_2008            filing of 15 September 2008; S&P 500 low of 20 November
flash_crash_2010       CFTC and SEC (2010), *Findings regarding the market events of May 6, 2010*
euro_crisis_2010       S&P 500 peak 23 April 2010, low 2 July 2010
debt_ceiling_2011      downgrade by Standard & Poor's of 5 August 2011; S&P 500 low 3 October
taper_2013             testimony of the Chairman before the Joint Economic Committee, 22 May 2013;
                       S&P 500 low 24 June
china_2015             devaluation from 11 August 2015; Securities and Exchange Commission (2015),
                       *Equity market volatility on August 24, 2015*
brexit_2016            referendum of 23 June 2016; S&P 500 low 27 June
volmageddon_2018       S&P 500 peak 26 January 2018, low 8 February; VIX of 5 February
q4_2018                S&P 500 peak 20 September 2018, low 24 December
covid_2020             S&P 500 peak 19 February 2020, trough 23 March
bear_2022              S&P 500 peak 3 January 2022, trough 12 October
banks_2023             FDIC, Silicon Valley Bank closed on 10 March 2023; S&P 500 low 13 March
yen_carry_2024         Bank of Japan, rise of 31 July 2024; S&P 500 low 5 August
=====================  ============================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from btq_assets.backtest.market import BacktestError
from btq_assets.risk.measures import RiskError
from btq_assets.risk.scenarios import (
    SCENARIOS,
    Scenario,
    find_scenario,
    not_covered,
    outcome,
    window_positions,
)

#: Windows that matter to strategies more than to an index held.
_OF_STRATEGIES = (
    Scenario(
        "quant_quake_2007",
        date(2007, 8, 3),
        date(2007, 8, 9),
        "Unwinding of market-neutral equity funds",
        ("quant_2007", "august_2007"),
    ),
    Scenario(
        "flash_crash_2010",
        date(2010, 5, 5),
        date(2010, 5, 7),
        "Flash crash of 6 May 2010 and the day after",
        ("flash_crash",),
    ),
    Scenario(
        "euro_crisis_2010",
        date(2010, 4, 23),
        date(2010, 7, 2),
        "Greek debt and the first euro crisis",
        ("greece_2010",),
    ),
    Scenario(
        "taper_2013",
        date(2013, 5, 21),
        date(2013, 6, 24),
        "Taper tantrum",
        ("taper_tantrum",),
    ),
    Scenario(
        "brexit_2016",
        date(2016, 6, 23),
        date(2016, 6, 27),
        "Referendum on leaving the European Union",
        ("brexit",),
    ),
    Scenario(
        "yen_carry_2024",
        date(2024, 7, 31),
        date(2024, 8, 5),
        "Unwinding of carry trades in yen",
        ("carry_2024",),
    ),
)

#: Every window, by the day it begins.
CRISES: tuple[Scenario, ...] = tuple(
    sorted((*SCENARIOS, *_OF_STRATEGIES), key=lambda scenario: (scenario.start, scenario.name))
)


@dataclass(frozen=True)
class Passage:
    """What a path went through in one window; figures are ``None`` where not covered.

    Attributes
    ----------
    crisis
        The window.
    n_days
        Returns in it.
    window_return, max_drawdown, worst_day
        Net return, deepest fall as a positive fraction, worst daily net return.
    note
        Why there are no figures, or empty.
    """

    crisis: Scenario
    n_days: int
    window_return: float | None
    max_drawdown: float | None
    worst_day: float | None
    note: str

    @property
    def covered(self) -> bool:
        """Whether the path covers the whole window."""
        return self.window_return is not None


def passage(equity: np.ndarray, days: np.ndarray, crisis: Scenario) -> Passage:
    """Figures of an equity path inside one window.

    Parameters
    ----------
    equity
        ``float64[T]``, after costs.
    days
        Session dates of the bars, ascending, ``datetime64[D]``. Of several bars a day the last
        one before the end of the window counts.
    crisis
        The window.
    """
    found = window_positions(days, crisis)
    if found is None:
        return Passage(crisis, 0, None, None, None, not_covered(days, crisis))
    first, last = found
    seen = outcome(crisis, first, last, equity[first : last + 1])
    n_days = last - first if seen.covered else 0
    return Passage(crisis, n_days, seen.window_return, seen.max_drawdown, seen.worst_day, seen.note)


def find_crisis(name: str) -> Scenario:
    """The window called `name`, case and separators ignored, aliases too.

    Raises
    ------
    BacktestError
        Unknown name; the message lists the known ones.
    """
    wanted = "".join(character for character in name.lower() if character.isalnum())
    for crisis in _OF_STRATEGIES:
        if wanted in ("".join(filter(str.isalnum, n)) for n in (crisis.name, *crisis.aliases)):
            return crisis
    try:
        return find_scenario(name)
    except RiskError:
        known = ", ".join(crisis.name for crisis in CRISES)
        raise BacktestError(f"no crisis is called {name!r}; known: {known}") from None
