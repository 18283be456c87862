"""What a generated market is asked to be: its size, its habits, and what is planted in it.

Belongs here: plain settings with their meaning and units, and the calendar they imply. Does not
belong here: any random number.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

import numpy as np

from btq_assets.contracts import raw

#: Name of the dataset in every generated row; nothing generated goes without the word.
DATASET = raw.SYNTHETIC_DATASET
LABEL = "SYNTHETIC"
CURRENCY = raw.SYNTHETIC_CURRENCY

#: The generated exchange opens at one time of every weekday, without holidays or clock changes.
OPEN_UTC = time(14, 30)
CLOSE_UTC = time(21, 0)
MINUTES_PER_SESSION = 390
SESSIONS_PER_YEAR = 252

#: Smallest step of a price.
PRICE_TICK = 0.01


@dataclass(frozen=True)
class Edge:
    """A predictable part of returns, of known size.

    Parameters
    ----------
    correlation
        Correlation of what is seen at a minute with the standardised return of the next one: the
        information coefficient a perfect user of it reaches.
    via
        ``"signal"``: a published series, `SyntheticMarket.signals`. ``"leader"``: the return of
        the first symbol, which all others follow one minute later.
    """

    correlation: float
    via: Literal["signal", "leader"] = "signal"

    def __post_init__(self) -> None:
        if not -1 < self.correlation < 1:
            raise ValueError(f"correlation of an edge is {self.correlation}; it lies in (-1, 1)")


@dataclass(frozen=True)
class RegimeChange:
    """From session number `session` (0 = first) on, everything is wilder and moves together."""

    session: int
    volatility_factor: float = 2.5
    correlation: float = 0.7


@dataclass(frozen=True)
class Outage:
    """No bar arrives for `n_minutes` from `first_minute` of session number `session`.

    ``symbol`` is a position among the symbols; ``None`` means that all of them are missing.
    """

    session: int
    first_minute: int
    n_minutes: int
    symbol: int | None = None


@dataclass(frozen=True)
class BadTicks:
    """How many bars of each fault are planted, at seeded places.

    Parameters
    ----------
    hundredfold
        All prices a hundred times too high: cents taken for dollars.
    zero
        All prices zero.
    duplicate
        The bar comes twice, the second time with another close.
    out_of_order
        The bar comes after its successor.
    clock_skew
        The stamp is `skew_seconds` late, as from a clock that is wrong.
    """

    hundredfold: int = 0
    zero: int = 0
    duplicate: int = 0
    out_of_order: int = 0
    clock_skew: int = 0
    skew_seconds: int = 37


@dataclass(frozen=True)
class MissedSplit:
    """From session number `session` on, prices are those after a split that nobody announced."""

    session: int
    symbol: int = 0
    ratio: float = 4.0


@dataclass(frozen=True)
class NewsDrift:
    """News that move prices: `total_bps` in their direction, spread over `minutes` after known."""

    total_bps: float
    minutes: int = 30


@dataclass(frozen=True)
class Plants:
    """What is planted; by default nothing, and then no return can be predicted."""

    edge: Edge | None = None
    regime: RegimeChange | None = None
    outages: tuple[Outage, ...] = ()
    bad_ticks: BadTicks = BadTicks()
    missed_split: MissedSplit | None = None
    news: NewsDrift | None = None


@dataclass(frozen=True)
class MarketSpec:
    """Size and habits of a generated market.

    Parameters
    ----------
    seed
        Equal seeds give equal markets.
    n_symbols, n_sessions, first_day
        Size; sessions are the weekdays from `first_day` on, 390 minutes each.
    annual_volatility
        Unconditional volatility of returns within sessions, per year of 252 sessions.
    correlation
        Of standardised returns of any two symbols.
    tail_degrees
        Degrees of freedom of the Student t innovations; they are cut at eight deviations.
    slow_persistence, fast_persistence
        Autoregression of the two components of log variance, per minute.
    leverage
        Effect of a return of one deviation on the log variance that follows, slow and fast
        component; negative: falls make waves.
    size_effect
        Effect of the size of a return on the log variance that follows, slow and fast.
    half_spread_bps
        Typical half of the bid-ask spread, in basis points of the price.
    news_per_symbol_session
        Mean number of headlines.
    plants
        What is planted.
    """

    seed: int = 7
    n_symbols: int = 5
    n_sessions: int = 20
    first_day: date = date(2024, 1, 2)
    annual_volatility: float = 0.30
    correlation: float = 0.30
    tail_degrees: float = 5.0
    slow_persistence: float = 0.9995
    fast_persistence: float = 0.97
    leverage: tuple[float, float] = (-0.02, -0.05)
    size_effect: tuple[float, float] = (0.03, 0.10)
    half_spread_bps: float = 2.0
    news_per_symbol_session: float = 0.5
    plants: Plants = field(default_factory=Plants)

    def __post_init__(self) -> None:
        if self.n_symbols < 1 or self.n_sessions < 1:
            raise ValueError("a market needs at least one symbol and one session")
        if not 0 <= self.correlation < 1:
            raise ValueError(f"correlation is {self.correlation}; it lies in [0, 1)")
        if self.tail_degrees <= 2:
            raise ValueError(f"tail_degrees is {self.tail_degrees}; variance needs more than 2")
        edge, regime = self.plants.edge, self.plants.regime
        if (
            edge is not None
            and edge.via == "leader"
            and edge.correlation**2 + max(self.correlation, regime.correlation if regime else 0.0)
            >= 1
        ):
            raise ValueError("the edge and the correlation of symbols leave no room for chance")

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the instruments."""
        return raw.synthetic_symbols(self.n_symbols)

    @property
    def n_minutes(self) -> int:
        """Bars a symbol has when nothing is missing."""
        return self.n_sessions * MINUTES_PER_SESSION

    def sessions(self) -> list[date]:
        """The trading days."""
        days: list[date] = []
        day = self.first_day
        while len(days) < self.n_sessions:
            if day.weekday() < 5:
                days.append(day)
            day += timedelta(days=1)
        return days

    def bar_ends(self) -> np.ndarray:
        """End of every bar, microseconds since 1970, shape ``[n_minutes]``."""
        opens = np.array(
            [
                int(datetime.combine(day, OPEN_UTC, UTC).timestamp()) * 1_000_000
                for day in self.sessions()
            ],
            dtype=np.int64,
        )
        minutes = np.arange(1, MINUTES_PER_SESSION + 1, dtype=np.int64) * 60_000_000
        return (opens[:, None] + minutes).ravel()

    def random(self, *purpose: object) -> np.random.Generator:
        """A random stream of its own for each purpose: planting one thing moves no other."""
        name = "|".join(str(part) for part in purpose)
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])
