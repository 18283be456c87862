"""Raw option quotes and trades, off-exchange and short volume, on-chain and sentiment metrics."""

from __future__ import annotations

import polars as pl

from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.columns import (
    KNOWN_AT,
    KNOWN_AT_BASIS,
    SYMBOL,
    TS,
    count,
    day,
    number,
    stamp,
    text,
)

OPTION_KINDS = ("call", "put")
UNDERLYING_BASES = ("spot", "forward")
PREMIUM_UNITS = ("currency", "underlying")
TRADE_SIDES = ("buy", "sell")

OPTION_RULES = (
    RowRule("known before it was quoted", pl.col("known_at") < pl.col("ts")),
    RowRule(
        "expires on another day than its name says",
        (pl.col("expires_at").dt.date() - pl.col("expiry")).dt.total_days().abs() > 1,
    ),
)


def option_quotes_contract(source: str, description: str) -> TableContract:
    """Contract of ``raw.option_quotes_<source>``: one row per contract, time of quote and vintage."""
    return TableContract(
        layer="raw",
        name=f"option_quotes_{source}",
        description=description,
        columns=(
            text("dataset", "Provider or generator the row came from."),
            text("underlying", "What the option is on, without the provider's marks (SPX, BTC)."),
            text("contract_id", "OCC code or the exchange's name of the contract."),
            text(
                "root", "Class of the contract; differs from underlying for weeklies and adjusted."
            ),
            text("kind", "Right.", allowed=OPTION_KINDS),
            number(
                "strike",
                "Strike in currency per unit of underlying.",
                nullable=False,
                minimum=0,
                exclusive_minimum=True,
            ),
            day("expiry", "Day in the contract's name."),
            stamp("expires_at", "Instant at which the payoff is fixed, UTC."),
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number("bid", "Best bid; null where nobody bids.", minimum=0, exclusive_minimum=True),
            number("ask", "Best ask; null where nobody offers.", minimum=0, exclusive_minimum=True),
            number("last", "Last price traded; null where none.", minimum=0),
            number(
                "volume",
                "Contracts traded: since the open, or in 24 hours where markets never close.",
                minimum=0,
            ),
            number(
                "open_interest",
                "Contracts open; where cleared overnight, as of the night before.",
                minimum=0,
            ),
            number(
                "iv_provider",
                "Annual volatility by the provider's model; 0.2 = 20 %.",
                minimum=0,
                exclusive_minimum=True,
            ),
            number(
                "delta_provider", "Delta by the provider's model.", minimum=-1.001, maximum=1.001
            ),
            number(
                "underlying_price",
                "Price of the underlying at ts, or of its forward to expiry (underlying_basis).",
                minimum=0,
                exclusive_minimum=True,
            ),
            text("underlying_basis", "What underlying_price is.", allowed=UNDERLYING_BASES),
            text(
                "premium_unit",
                "Unit of bid, ask and last: currency, or underlying (inverse contracts).",
                allowed=PREMIUM_UNITS,
            ),
            text("currency", "Currency of strike and underlying_price."),
            number(
                "multiplier",
                "Units of underlying per contract.",
                minimum=0,
                exclusive_minimum=True,
                nullable=False,
            ),
        ),
        key=("dataset", "contract_id", "ts", "known_at"),
        append_only=True,
        rules=OPTION_RULES,
        max_rejected_fraction=0.05,
        owner="team:data",
    )


def option_trades_contract(source: str, description: str) -> TableContract:
    """Contract of ``raw.option_trades_<source>``: one row per trade of one contract and vintage."""
    return TableContract(
        layer="raw",
        name=f"option_trades_{source}",
        description=description,
        columns=(
            text("dataset", "Provider or generator the row came from."),
            text("underlying", "What the option is on, without the provider's marks (BTC)."),
            text("contract_id", "The exchange's name of the contract."),
            text("kind", "Right.", allowed=OPTION_KINDS),
            number(
                "strike",
                "Strike in currency per unit of underlying.",
                nullable=False,
                minimum=0,
                exclusive_minimum=True,
            ),
            day("expiry", "Day in the contract's name."),
            stamp("expires_at", "Instant at which the payoff is fixed, UTC."),
            text("trade_id", "The exchange's number of the trade."),
            count("trade_seq", "Number of the trade within its contract: gaps are missing trades."),
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number(
                "price",
                "Premium per unit of underlying, in premium_unit.",
                nullable=False,
                minimum=0,
                exclusive_minimum=True,
            ),
            number(
                "amount",
                "Units of underlying traded.",
                nullable=False,
                minimum=0,
                exclusive_minimum=True,
            ),
            text("side", "What the aggressor did.", allowed=TRADE_SIDES),
            number(
                "iv_provider",
                "Annual volatility of the price by the provider's model; 0.2 = 20 %.",
                minimum=0,
                exclusive_minimum=True,
            ),
            number("mark_price", "The exchange's mark then, in premium_unit.", minimum=0),
            number(
                "index_price",
                "Price of the underlying index then, in currency.",
                minimum=0,
                exclusive_minimum=True,
            ),
            count(
                "tick_direction",
                "0 up, 1 unchanged after up, 2 down, 3 unchanged after down.",
                nullable=True,
            ),
            text("block_trade_id", "Negotiated outside the book; null in it.", nullable=True),
            text("combo_id", "Leg of a combination; null where outright.", nullable=True),
            text(
                "liquidation",
                "Side that was liquidated (M maker, T taker, MT both); null where none.",
                nullable=True,
            ),
            text("premium_unit", "Unit of price.", allowed=PREMIUM_UNITS),
            text("currency", "Currency of strike and index_price."),
        ),
        key=("dataset", "contract_id", "trade_id", "known_at"),
        append_only=True,
        rules=(
            RowRule("known before it was traded", pl.col("known_at") < pl.col("ts")),
            RowRule("traded after it expired", pl.col("ts") > pl.col("expires_at")),
        ),
        max_rejected_fraction=0.05,
        owner="team:data",
    )


def dark_pool_contract(source: str, description: str) -> TableContract:
    """Contract of ``raw.dark_pool_<source>``: shares one venue traded in one symbol in one week."""
    return TableContract(
        layer="raw",
        name=f"dark_pool_{source}",
        description=description,
        columns=(
            text("dataset", "Provider series the row came from."),
            SYMBOL,
            day("week", "Monday of the week."),
            text("venue", "Market participant identifier (MPID) of the trading system."),
            KNOWN_AT,
            KNOWN_AT_BASIS,
            text("venue_name", "Name of the trading system.", nullable=True),
            text("tier", "Tier of the symbol, which decides how late it is published."),
            number("shares", "Shares traded in the week.", nullable=False, minimum=0),
            number("trades", "Trades in the week.", minimum=0),
            day("published", "Day of the last publication; null where not said.", nullable=True),
        ),
        key=("dataset", "symbol", "week", "venue", "known_at"),
        append_only=True,
        rules=(
            RowRule(
                "known before its week ended",
                pl.col("known_at").dt.date() < pl.col("week") + pl.duration(days=5),
            ),
            RowRule("week does not begin on a Monday", pl.col("week").dt.weekday() != 1),
        ),
        max_rejected_fraction=0.05,
        owner="team:data",
    )


def short_volume_contract(source: str, description: str) -> TableContract:
    """Contract of ``raw.short_volume_<source>``: shares sold short off exchange in one session."""
    return TableContract(
        layer="raw",
        name=f"short_volume_{source}",
        description=description,
        columns=(
            text("dataset", "File series the row came from."),
            SYMBOL,
            day("session", "Trading session."),
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number(
                "short_volume",
                "Shares sold short, exempt ones included.",
                nullable=False,
                minimum=0,
            ),
            number("short_exempt_volume", "Of these, exempt from the price test.", minimum=0),
            number(
                "total_volume",
                "All shares reported to the facility: not the market's volume.",
                nullable=False,
                minimum=0,
            ),
            text("markets", "Reporting facilities, as the file writes them.", nullable=True),
        ),
        key=("dataset", "symbol", "session", "known_at"),
        append_only=True,
        rules=(
            RowRule(
                "more sold short than traded",
                pl.col("short_volume") > pl.col("total_volume") * (1 + 1e-9),
            ),
            RowRule(
                "more exempt than short",
                pl.col("short_exempt_volume") > pl.col("short_volume") * (1 + 1e-9),
            ),
            RowRule(
                "known before its session ended",
                pl.col("known_at").dt.date() < pl.col("session"),
            ),
        ),
        max_rejected_fraction=0.05,
        owner="team:data",
    )


def onchain_contract(source: str, description: str) -> TableContract:
    """Contract of ``raw.onchain_<source>``: one row per asset, metric, time and vintage."""
    return TableContract(
        layer="raw",
        name=f"onchain_{source}",
        description=description,
        columns=(
            text("dataset", "Provider series the row came from."),
            text("asset", "Coin, chain or market the metric is of, in the provider's spelling."),
            text("metric", "What is measured, in the provider's spelling."),
            TS,
            KNOWN_AT,
            KNOWN_AT_BASIS,
            number("value", "Value in its unit.", nullable=False),
            text("unit", "Unit of the value."),
        ),
        key=("dataset", "asset", "metric", "ts", "known_at"),
        append_only=True,
        rules=(RowRule("known before its time", pl.col("known_at") < pl.col("ts")),),
        max_rejected_fraction=0.05,
        owner="team:data",
    )


OPTION_QUOTES_CBOE = option_quotes_contract(
    "cboe", "Option chains from Cboe's delayed quotes: one snapshot a fetch, 15 minutes late."
)
OPTION_QUOTES_DERIBIT = option_quotes_contract(
    "deribit", "Option chains of crypto currencies from Deribit: one snapshot a fetch."
)
OPTION_TRADES_DERIBIT = option_trades_contract(
    "deribit", "Every option trade at Deribit: price, size, aggressor, block or combination."
)
DARK_POOL_FINRA = dark_pool_contract(
    "finra", "Weekly volume of alternative trading systems (dark pools) by symbol, from FINRA."
)
SHORT_VOLUME_FINRA = short_volume_contract(
    "finra", "Daily short sale volume reported to FINRA's facilities, by symbol."
)
ONCHAIN_COINMETRICS = onchain_contract(
    "coinmetrics", "Daily network metrics of crypto assets from CoinMetrics' community data."
)
ONCHAIN_DEFILLAMA = onchain_contract(
    "defillama", "Daily value locked in decentralised finance by chain, from DefiLlama."
)
ONCHAIN_STABLECOINS = onchain_contract(
    "stablecoins", "Daily circulating supply of stablecoins, from DefiLlama."
)
ONCHAIN_FEAR_GREED = onchain_contract(
    "fear_greed", "The crypto Fear & Greed index of alternative.me, daily."
)

IV_SURFACES_SAMPLE = TableContract(
    layer="raw",
    name="iv_surfaces_sample",
    description="Real implied-volatility surfaces of five US stocks in 2023 that ship inside a Python package: standardised maturities and deltas, no quotes.",
    columns=(
        text("dataset", "File the row came from."),
        text("underlying", "Ticker."),
        day("session", "Trading session."),
        number(
            "days", "Calendar days to expiry.", nullable=False, minimum=0, exclusive_minimum=True
        ),
        number("delta", "Spot delta; puts negative.", nullable=False, minimum=-1, maximum=1),
        number("strike", "Strike in USD.", nullable=False, minimum=0, exclusive_minimum=True),
        number(
            "implied_volatility",
            "Annual; 0.2 = 20 %.",
            nullable=False,
            minimum=0,
            exclusive_minimum=True,
        ),
        number(
            "forward", "Forward price to expiry.", nullable=False, minimum=0, exclusive_minimum=True
        ),
        number("spot", "Price of the stock.", nullable=False, minimum=0, exclusive_minimum=True),
    ),
    key=("dataset", "underlying", "session", "days", "delta"),
    owner="team:data",
)
