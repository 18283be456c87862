"""SYNTHETIC option quotes from a known volatility surface.

Belongs here: contracts, quotes and open interest in the columns of ``raw.option_quotes_<source>``,
and the true volatility of each. The level of the surface follows the true volatility of the market.
Prices are those of Black and Scholes (1973) with rate and dividend zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import numpy as np
import polars as pl

from btq_assets.sources.synthetic.market import SyntheticMarket
from btq_assets.sources.synthetic.spec import (
    CURRENCY,
    DATASET,
    MINUTES_PER_SESSION,
    SESSIONS_PER_YEAR,
)
from btq_assets.sources.vintages import ASSUMED_LAG

#: Exchange time of the payoff, UTC; quotes are those of the close.
EXPIRY_UTC = time(21, 0)
_OPTION_TICK = 0.01


@dataclass(frozen=True)
class Surface:
    """Implied volatilities free of static arbitrage, of the form SSVI with known parameters.

    Total variance at log-moneyness ``k = ln(K/S)`` and time T (Gatheral and Jacquier 2014, eq. 4.1,
    with ``phi = eta / sqrt(theta)``) is ``theta/2 · (1 + rho·phi·k + sqrt((phi·k + rho)² + 1 - rho²))``.
    ``theta``, that of the money, is what a variance returning exponentially from its value now to
    its long run amounts to until T, so it grows with T. No butterfly is worth less than nothing
    while ``eta²·(1 + |rho|) <= 4`` (their theorem 4.2), no calendar spread either (theorem 4.1).

    Parameters
    ----------
    skew
        rho: negative, falls are dearer to insure than rises.
    smile
        eta: how fast volatility grows away from the money.
    long_run
        Annual volatility far ahead.
    half_life_years
        Of the way from now to the long run.
    """

    skew: float = -0.4
    smile: float = 1.0
    long_run: float = 0.30
    half_life_years: float = 0.25

    def __post_init__(self) -> None:
        if not -1 < self.skew < 1 or self.smile**2 * (1 + abs(self.skew)) > 4:
            raise ValueError("skew and smile allow arbitrage: smile² (1 + |skew|) is at most 4")

    def volatility(self, now: float, log_moneyness: np.ndarray, years: np.ndarray) -> np.ndarray:
        """Annual implied volatility when the market's annual volatility is `now`."""
        speed = np.log(2) / self.half_life_years
        excess = (now**2 - self.long_run**2) * (1 - np.exp(-speed * years)) / speed
        theta = self.long_run**2 * years + excess
        x = self.smile / np.sqrt(theta) * log_moneyness
        wings = 1 + self.skew * x + np.sqrt((x + self.skew) ** 2 + 1 - self.skew**2)
        return np.sqrt(0.5 * theta * wings / years)


def option_quotes(
    market: SyntheticMarket,
    sessions: tuple[int, ...] = (0,),
    *,
    days_to_expiry: tuple[int, ...] = (7, 30, 60, 120),
    moneyness: tuple[float, ...] = tuple(np.round(np.arange(0.8, 1.21, 0.05), 2)),
    surface: Surface | None = None,
) -> pl.DataFrame:
    """Quotes at the close of the given sessions.

    Parameters
    ----------
    market
        Gives prices and volatility.
    sessions
        Numbers of the sessions.
    days_to_expiry, moneyness
        Grid of contracts: calendar days, and strike over price before rounding to whole dollars.
    surface
        The true surface; by default `Surface()`.

    Returns
    -------
    polars.DataFrame
        Columns of ``raw.option_quotes_<source>``; beside them the truth: ``true_volatility`` and
        ``true_price``. Bid and ask lie around the true price; a price too small to bid for has no
        bid. No provider's volatility or delta is given.
    """
    surface = surface or Surface(long_run=market.spec.annual_volatility)
    frames = [
        _chain(market, session, number, days_to_expiry, moneyness, surface)
        for session in sessions
        for number in range(market.spec.n_symbols)
    ]
    return pl.concat(frames)


def true_volatility_now(market: SyntheticMarket, session: int, number: int) -> float:
    """Annual volatility that the session's true minute volatilities amount to."""
    rows = slice(session * MINUTES_PER_SESSION, (session + 1) * MINUTES_PER_SESSION)
    variance = float(np.sum(market.paths.sigma[rows, number] ** 2))
    return float(np.sqrt(variance * SESSIONS_PER_YEAR))


def black_scholes(
    is_call: np.ndarray, spot: np.ndarray, strike: np.ndarray, years: np.ndarray, vol: np.ndarray
) -> np.ndarray:
    """Price of a European option, rate and dividend zero (Black and Scholes 1973, eq. 13)."""
    from scipy.special import ndtr

    spread = vol * np.sqrt(years)
    d1 = np.log(spot / strike) / spread + 0.5 * spread
    call = spot * ndtr(d1) - strike * ndtr(d1 - spread)
    return np.where(is_call, call, call - spot + strike)


def _chain(
    market: SyntheticMarket,
    session: int,
    number: int,
    days_to_expiry: tuple[int, ...],
    moneyness: tuple[float, ...],
    surface: Surface,
) -> pl.DataFrame:
    spec = market.spec
    random = spec.random("options", session, number)
    minute = (session + 1) * MINUTES_PER_SESSION - 1
    spot = float(market.clean_bars["close"][number * spec.n_minutes + minute])
    ts = market.clean_bars["ts"][number * spec.n_minutes + minute]
    day = spec.sessions()[session]
    strikes = np.unique(np.round(np.array(moneyness) * spot))
    days, strike, is_call = (
        grid.ravel()
        for grid in np.meshgrid(np.array(days_to_expiry), strikes, [True, False], indexing="ij")
    )
    expires = [datetime.combine(day + timedelta(days=int(d)), EXPIRY_UTC, UTC) for d in days]
    years = np.array([(end - ts).total_seconds() for end in expires]) / (365 * 86_400)
    now = true_volatility_now(market, session, number)
    vol = surface.volatility(now, np.log(strike / spot), years)
    x = np.log(strike / spot) / (vol * np.sqrt(years))
    price = black_scholes(is_call, np.full(x.shape, spot), strike, years, vol)
    half = np.maximum(0.01 * price + 0.01, 0.015) * np.exp(random.normal(0, 0.2, x.size))
    bid = np.floor((price - half) / _OPTION_TICK) * _OPTION_TICK
    ask = np.ceil((price + half) / _OPTION_TICK) * _OPTION_TICK
    near = np.exp(-0.2 * x**2) / np.sqrt(days)
    interest = np.round(20_000 * near * np.exp(random.normal(0, 0.6, x.size)))
    symbol = spec.symbols[number]
    return pl.DataFrame(
        {
            "contract_id": [
                f"{symbol}{end:%y%m%d}{'C' if call else 'P'}{round(k * 1000):08d}"
                for end, call, k in zip(expires, is_call, strike, strict=True)
            ],
            "kind": np.where(is_call, "call", "put"),
            "strike": strike,
            "expires_at": expires,
            "bid": np.round(bid, 2),
            "ask": np.round(ask, 2),
            "volume": np.round(interest * random.uniform(0.0, 0.3, x.size)),
            "open_interest": interest,
            "true_volatility": vol,
            "true_price": price,
        },
        schema_overrides={"expires_at": pl.Datetime("us", "UTC")},
    ).select(
        pl.lit(DATASET).alias("dataset"),
        pl.lit(symbol).alias("underlying"),
        "contract_id",
        pl.lit(symbol).alias("root"),
        "kind",
        "strike",
        pl.col("expires_at").dt.date().alias("expiry"),
        "expires_at",
        pl.lit(ts).cast(pl.Datetime("us", "UTC")).alias("ts"),
        pl.lit(ts).cast(pl.Datetime("us", "UTC")).alias("known_at"),
        pl.lit(ASSUMED_LAG).alias("known_at_basis"),
        pl.when(pl.col("bid") > 0).then("bid").alias("bid"),
        "ask",
        pl.lit(None, pl.Float64).alias("last"),
        "volume",
        "open_interest",
        pl.lit(None, pl.Float64).alias("iv_provider"),
        pl.lit(None, pl.Float64).alias("delta_provider"),
        pl.lit(spot).alias("underlying_price"),
        pl.lit("spot").alias("underlying_basis"),
        pl.lit("currency").alias("premium_unit"),
        pl.lit(CURRENCY).alias("currency"),
        pl.lit(100.0).alias("multiplier"),
        "true_volatility",
        "true_price",
    )
