"""Core tables of alternative data: quotes, venues, chains (by dbt), and what options imply."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    SYMBOL,
    TS,
    count,
    day,
    flag,
    number,
    stamp,
    text,
)
from btq_assets.contracts.raw.alternative import (
    OPTION_KINDS,
    OPTION_QUOTES_CBOE,
    OPTION_TRADES_DERIBIT,
    PREMIUM_UNITS,
    TRADE_SIDES,
    UNDERLYING_BASES,
)

#: The last: exercise at any time, but no price of the underlying to value it with.
EXERCISES = ("european", "american", "american_as_european")
OPEN_INTEREST_BASES = ("cleared_overnight", "earlier_day")
DISCOUNT_BASES = ("treasury", "h15", "setting", "undiscounted")

_SOURCE = text("source", "Raw table without its prefix.")
_SUPERSEDED_AT = stamp(
    "superseded_at", "When a later vintage became known, UTC; null if none.", nullable=True
)
_ENUMERATIONS = {
    "kind": OPTION_KINDS,
    "underlying_basis": UNDERLYING_BASES,
    "premium_unit": PREMIUM_UNITS,
}

OPTION_QUOTES = TableContract(
    layer="core",
    name="option_quotes",
    description="Option quotes of every source, first vintage of each: what was known at the time. Later ones (open interest cleared overnight) stay in raw.",
    columns=(
        _SOURCE,
        *(c for c in OPTION_QUOTES_CBOE.columns if c.name != "known_at_basis"),
    ),
    key=("source", "dataset", "contract_id", "ts"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

OPTION_TRADES = TableContract(
    layer="core",
    name="option_trades",
    description="Option trades of every source, first vintage of each: what was known at the time.",
    columns=(
        _SOURCE,
        *(c for c in OPTION_TRADES_DERIBIT.columns if c.name != "known_at_basis"),
    ),
    key=("source", "dataset", "contract_id", "trade_id"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

DARK_POOL = TableContract(
    layer="core",
    name="dark_pool",
    description="Weekly volume of dark pools by symbol and venue, every vintage: current from known_at until superseded_at.",
    columns=(
        _SOURCE,
        SYMBOL,
        day("week", "Monday of the week."),
        text("venue", "Market participant identifier (MPID) of the trading system."),
        KNOWN_AT,
        _SUPERSEDED_AT,
        number("shares", "Shares traded in the week.", nullable=False, minimum=0),
        number("trades", "Trades in the week.", minimum=0),
        number(
            "venue_share",
            "Share of the venue in all listed dark pools, as known then.",
            minimum=0,
            maximum=1,
        ),
    ),
    key=("source", "symbol", "week", "venue", "known_at"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

SHORT_VOLUME = TableContract(
    layer="core",
    name="short_volume",
    description="Daily short sale volume by symbol, every vintage: current from known_at until superseded_at.",
    columns=(
        _SOURCE,
        SYMBOL,
        day("session", "Trading session."),
        KNOWN_AT,
        _SUPERSEDED_AT,
        number("short_volume", "Shares sold short.", nullable=False, minimum=0),
        number("total_volume", "Shares reported to the facility.", nullable=False, minimum=0),
        number(
            "short_share",
            "Short over total volume; null where nothing was reported.",
            minimum=0,
            maximum=1.000001,
        ),
    ),
    key=("source", "symbol", "session", "known_at"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

ONCHAIN_METRICS = TableContract(
    layer="core",
    name="onchain_metrics",
    description="On-chain and crypto sentiment metrics of every source, every vintage: current from known_at until superseded_at.",
    columns=(
        _SOURCE,
        text("dataset", "Provider series the row came from."),
        text("asset", "Coin, chain or market."),
        text("metric", "What is measured."),
        TS,
        KNOWN_AT,
        _SUPERSEDED_AT,
        number("value", "Value in its unit.", nullable=False),
        text("unit", "Unit of the value."),
    ),
    key=("source", "dataset", "asset", "metric", "ts", "known_at"),
    writer="dbt",
    owner="team:data",
    kinds=("duckdb", "dbt"),
)

_SNAPSHOT = (
    _SOURCE,
    text("dataset", "Dataset within it."),
    text("underlying", "What the options are on."),
    TS,
    KNOWN_AT,
)

OPTION_SURFACES = TableContract(
    layer="core",
    name="option_surfaces",
    description="Volatility smile of each snapshot and expiry, fitted to volatilities recomputed from quotes.",
    columns=(
        *_SNAPSHOT,
        stamp("expires_at", "Instant of expiry, UTC."),
        number(
            "years",
            "Time to expiry in years of 365 days.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        number(
            "forward",
            "Forward price implied by puts and calls, or given.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        text("exercise", "How options of the slice were valued.", allowed=EXERCISES),
        text(
            "discount_basis",
            "Where the rate comes from: a curve known at known_at, the setting, or none needed.",
            allowed=DISCOUNT_BASES,
        ),
        number(
            "discount_rate_annual",
            "Continuously compounded rate to expiry; null where premiums are not discounted.",
        ),
        text("fit_id", "Hash of quotes, rate, settings and code: equal ones are not fitted again."),
        count("n_quotes", "Out-of-the-money volatilities fitted.", minimum=1),
        text("method", "Curve fitted to total variance.", allowed=("svi", "quadratic")),
        number("atm_iv", "Annual volatility at the forward.", minimum=0, exclusive_minimum=True),
        number(
            "put_25d_iv",
            "Annual volatility where the put's forward delta is -0.25; null outside the quotes.",
            minimum=0,
        ),
        number(
            "call_25d_iv",
            "Annual volatility where the call's forward delta is 0.25; null outside the quotes.",
            minimum=0,
        ),
        number(
            "rmse_iv",
            "Root mean square of fitted less quoted volatility.",
            nullable=False,
            minimum=0,
        ),
        number("a", "SVI level, or constant of the quadratic.", nullable=False),
        number("b", "SVI slope, or linear term.", nullable=False),
        number("rho", "SVI rotation; null for the quadratic.", minimum=-1, maximum=1),
        number("m", "SVI shift; null for the quadratic."),
        number("sigma", "SVI smoothness, or quadratic term.", nullable=False),
        number("k_low", "Lowest log-moneyness fitted.", nullable=False),
        number("k_high", "Highest log-moneyness fitted.", nullable=False),
        flag(
            "butterfly_free",
            "Density of the fit is nowhere negative between the quotes (Durrleman).",
        ),
        flag(
            "calendar_free",
            "Total variance is nowhere below that of the expiry before it; null for the first.",
            nullable=True,
        ),
        number(
            "mean_iv_gap",
            "Mean of recomputed less provider's volatility; null where none is given.",
        ),
    ),
    key=("source", "dataset", "underlying", "ts", "expires_at"),
    owner="team:research",
)

OPTION_METRICS = TableContract(
    layer="core",
    name="option_metrics",
    description="What the options on an underlying implied at each snapshot: level, skew and term structure of volatility, put/call ratios, unusual volume.",
    columns=(
        *_SNAPSHOT,
        count("n_contracts", "Contracts quoted.", minimum=1),
        count("n_expiries_fitted", "Expiries with a fitted smile."),
        number(
            "atm_iv_30d",
            "Annual at-the-money volatility at 30 days, between two expiries; never extrapolated.",
            minimum=0,
        ),
        number("skew_25d_30d", "Volatility of the 25-delta put less that of the call, at 30 days."),
        number("term_slope", "At-the-money volatility at 90 days less that at 30 days."),
        number(
            "put_call_volume", "Puts traded per call traded; null where no call traded.", minimum=0
        ),
        number("put_call_oi", "Puts open per call open; null where none is.", minimum=0),
        number("volume", "Contracts traded.", minimum=0),
        number("open_interest", "Contracts open.", minimum=0),
        number(
            "unusual_volume_score",
            "Standard deviations of log volume above its mean on earlier days; null with fewer than five.",
        ),
        count("n_unusual_contracts", "Contracts that traded more than their open interest."),
    ),
    key=("source", "dataset", "underlying", "ts"),
    owner="team:research",
)

UNUSUAL_OPTIONS = TableContract(
    layer="core",
    name="unusual_options",
    description="Contracts that traded more than was open at the end of the day before, with their own history.",
    columns=(
        *_SNAPSHOT,
        text("contract_id", "OCC code or the exchange's name."),
        text("kind", "Right.", allowed=OPTION_KINDS),
        number("strike", "Strike.", nullable=False, minimum=0, exclusive_minimum=True),
        day("expiry", "Day in the contract's name."),
        number("volume", "Contracts traded.", nullable=False, minimum=0),
        number(
            "open_interest",
            "Contracts open at the end of the day before, as known then.",
            nullable=False,
            minimum=0,
        ),
        text(
            "open_interest_basis",
            "Why open_interest is of the day before: cleared overnight, or quoted on an earlier day.",
            allowed=OPEN_INTEREST_BASES,
        ),
        stamp("open_interest_at", "Time of the quote that open_interest comes from, UTC."),
        number("volume_to_open_interest", "Null where nothing was open.", minimum=0),
        count("n_earlier_days", "Earlier days with a known volume of this contract."),
        number(
            "mean_earlier_volume", "Its mean volume on them; null where there are none.", minimum=0
        ),
    ),
    key=("source", "dataset", "contract_id", "ts"),
    owner="team:research",
)

OPTION_SWEEPS = TableContract(
    layer="core",
    name="option_sweeps",
    description="Orders that took several prices of one option contract in quick succession: prints of one side, close in time, each no better for the aggressor than the last. Known when the last print was and no further one could follow.",
    columns=(
        _SOURCE,
        text("dataset", "Dataset within it."),
        text("underlying", "What the option is on."),
        text("contract_id", "The exchange's name of the contract."),
        text("kind", "Right.", allowed=OPTION_KINDS),
        number("strike", "Strike.", nullable=False, minimum=0, exclusive_minimum=True),
        day("expiry", "Day in the contract's name."),
        text("side", "What the aggressor did.", allowed=TRADE_SIDES),
        text("first_trade_id", "The exchange's number of the first print."),
        text("last_trade_id", "Of the last."),
        stamp("started_at", "Time of the first print, UTC."),
        TS,
        KNOWN_AT,
        count("duration_ms", "From the first print to the last, milliseconds."),
        count("n_prints", "Trades.", minimum=2),
        count("n_prices", "Different prices.", minimum=2),
        number("amount", "Units of underlying.", nullable=False, minimum=0, exclusive_minimum=True),
        number(
            "premium",
            "Price times amount in currency, at each print's index price where premiums are in the underlying; null where one has none.",
            minimum=0,
            exclusive_minimum=True,
        ),
        text("currency", "Currency of premium and strike."),
        number("first_price", "In premium_unit.", nullable=False, minimum=0),
        number("last_price", "In premium_unit.", nullable=False, minimum=0),
        text("premium_unit", "Unit of the prices.", allowed=PREMIUM_UNITS),
        number("first_iv", "Provider's annual volatility of the first print.", minimum=0),
        number("last_iv", "Of the last.", minimum=0),
    ),
    key=("source", "dataset", "contract_id", "first_trade_id"),
    rules=(
        RowRule("known before it ended", pl.col("known_at") < pl.col("ts")),
        RowRule("ended before it started", pl.col("ts") < pl.col("started_at")),
        RowRule(
            "prices fell under a buyer",
            (pl.col("side") == "buy") & (pl.col("last_price") <= pl.col("first_price")),
        ),
        RowRule(
            "prices rose under a seller",
            (pl.col("side") == "sell") & (pl.col("last_price") >= pl.col("first_price")),
        ),
    ),
    owner="team:research",
)
