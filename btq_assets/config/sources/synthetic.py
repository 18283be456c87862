"""Settings of the generated market."""

from __future__ import annotations

from pydantic import Field, model_validator

from btq_assets.config.base import Section
from btq_assets.config.sources.base import DAY

_MINUTES_PER_SESSION = 390
#: The step that stores so many one-minute bars needs about a gigabyte.
MOST_BARS = 2_000_000
#: A minute of one symbol is about 280 changes of its book; so many need a gigabyte too.
MOST_TICK_MINUTES = 8_000
#: A chain is 72 contracts.
MOST_OPTION_CHAINS = 20_000
#: Correlation after the planted change of regime.
_WILD_CORRELATION = 0.7


class SyntheticSourceSection(Section):
    """SYNTHETIC market of known truth: what is generated, how large, and what is planted in it.

    What is planted is off by default, and then no return can be predicted.
    """

    enabled: bool = False
    bars: bool = Field(True, description="One-minute and daily bars, and universe `synthetic`.")
    ticks: bool = Field(True, description="Trades, best quotes and the order book.")
    options: bool = True
    onchain: bool = True
    news: bool = Field(True, description="Headlines.")
    seed: int = Field(7, ge=0)
    n_symbols: int = Field(5, ge=1, le=500)
    n_sessions: int = Field(20, ge=1, le=2_520)
    first_day: str = Field("2024-01-02", pattern=DAY)
    annual_volatility: float = Field(0.30, gt=0, le=3)
    correlation: float = Field(0.30, ge=0, lt=0.95)
    tick_sessions: int = Field(1, ge=1, description="Ticks of so many sessions, the first ones.")
    tick_minutes: int = Field(
        60, ge=1, le=_MINUTES_PER_SESSION, description="And of so many minutes of each."
    )
    option_sessions: int = Field(
        5, ge=1, description="Option quotes at the close of so many sessions, the last ones."
    )
    edge_correlation: float = Field(
        0.0, gt=-0.3, lt=0.3, description="Of the first symbol's return with the others' next one."
    )
    regime_session: int | None = Field(
        None, ge=0, description="From here on 2.5 times as volatile, correlation 0.7; null: never."
    )
    outage_minutes: int = Field(
        0, ge=0, le=_MINUTES_PER_SESSION, description="Missing from the last session's bars."
    )
    bad_ticks_of_each_kind: int = Field(
        0, ge=0, le=10_000, description="Bars spoiled in each of five ways."
    )
    missed_split_session: int | None = Field(
        None, ge=1, description="The first symbol splits 4 for 1 unannounced; null: never."
    )
    news_drift_bps: float = Field(
        0.0, ge=0, le=200, description="Headlines move prices so far, within half an hour."
    )

    @property
    def n_bars(self) -> int:
        """One-minute bars of all symbols when nothing is missing."""
        return self.n_symbols * self.n_sessions * _MINUTES_PER_SESSION

    @property
    def _n_tick_minutes(self) -> int:
        sessions = min(self.tick_sessions, self.n_sessions) if self.ticks else 0
        return self.n_symbols * sessions * self.tick_minutes

    @property
    def _n_chains(self) -> int:
        return self.n_symbols * min(self.option_sessions, self.n_sessions) if self.options else 0

    @model_validator(mode="after")
    def _fits(self) -> SyntheticSourceSection:
        """What is planted lies within the market, and the market within memory."""
        for name in ("regime_session", "missed_split_session"):
            session = getattr(self, name)
            if session is not None and session >= self.n_sessions:
                raise ValueError(
                    f"sources.synthetic.{name} is {session}; sessions are numbered from 0 to "
                    f"{self.n_sessions - 1}"
                )
        for name, size, most in (
            ("one-minute bars (n_symbols × n_sessions × 390)", self.n_bars, MOST_BARS),
            (
                "minutes of ticks (n_symbols × tick_sessions × tick_minutes)",
                self._n_tick_minutes,
                MOST_TICK_MINUTES,
            ),
            (
                "option chains (n_symbols × option_sessions)",
                self._n_chains,
                MOST_OPTION_CHAINS,
            ),
        ):
            if size > most:
                raise ValueError(
                    f"sources.synthetic asks for {size:,} {name}; at most {most:,} fit in memory"
                )
        if self.bad_ticks_of_each_kind * 60 > self.n_bars:
            raise ValueError(
                f"sources.synthetic.bad_ticks_of_each_kind is {self.bad_ticks_of_each_kind}; of "
                f"{self.n_bars:,} bars at most one in sixty can be spoiled in each way"
            )
        factor = self.correlation
        if self.regime_session is not None:
            factor = max(factor, _WILD_CORRELATION)
        if self.edge_correlation**2 + factor >= 1:
            raise ValueError(
                "sources.synthetic: the edge and the correlation of symbols leave no room for chance"
            )
        return self
