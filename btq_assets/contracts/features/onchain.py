"""What chains and crypto markets say about a symbol, by the time it was known."""

from __future__ import annotations

from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family

ONCHAIN = family(
    "onchain",
    "Activity on the chain behind a symbol, value locked on it, stablecoins and crypto sentiment, as known at ts; rows for crypto symbols only.",
    (
        number("active_addresses_change_7d", "Log change of active addresses over 7 days."),
        number("active_addresses_z_90", "Log of active addresses among the last 90 days, standard deviations."),
        number("transactions_change_7d", "Log change of transactions over 7 days."),
        number("transactions_z_90", "Log of transactions among the last 90 days, standard deviations."),
        number("hash_rate_change_30d", "Log change of the hash rate over 30 days."),
        number("coin_fees_z_90", "Log of fees paid among the last 90 days, standard deviations."),
        number("mvrv_ratio", "Market value over realised value.", minimum=0),
        number("mvrv_change_30d", "Log change of that ratio over 30 days."),
        number("mvrv_z_180", "The ratio among the last 180 days, standard deviations."),
        number("tvl_change_7d", "Log change of the value locked on the chain over 7 days."),
        number("tvl_change_30d", "Log change of the value locked over 30 days."),
        number("stablecoin_supply_change_7d", "Log change of circulating dollar stablecoins over 7 days."),
        number("stablecoin_supply_change_30d", "Log change of circulating dollar stablecoins over 30 days."),
        number("fear_greed_level", "Crypto Fear & Greed index, 0 fear to 100 greed.", minimum=0, maximum=100),
        number("fear_greed_change_7d", "Change of the index over 7 days."),
    ),
)  # fmt: skip
