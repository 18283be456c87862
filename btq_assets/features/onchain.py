"""On-chain family: activity, valuation, locked value and stablecoins behind a crypto symbol.

Belongs here: measures of metrics as known at a bar, and which asset is behind which symbol. Does
not belong here: fetching metrics. Metrics are restated; a window holds each day as known then.

An asset is found by the configuration (``features.onchain_coins``, ``features.onchain_chains``), or
by bearing the symbol's own name. Symbols with neither have no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.features.as_known import (
    Measure,
    as_known,
    change_over_days,
    newest,
    z_score,
)
from btq_assets.features.definitions import KEY, Feature, prepare, undefined_to_null
from btq_assets.timeline import asof_join

#: Age of the newest day's first release beyond which its values are null.
STALE = timedelta(days=4)


def _logs(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.where(values > 0, values, np.nan))


@dataclass(frozen=True)
class Metric:
    """A daily metric and what is read from it.

    Parameters
    ----------
    scope
        ``coin``, ``chain`` (of a symbol), or ``market`` (one for all symbols).
    names
        Names of the metric over the providers; one asset has it from one of them.
    measures
        By feature.
    length
        Days in the longest window.
    """

    scope: str
    names: tuple[str, ...]
    measures: Mapping[str, Measure]
    length: int


def _log_change(days: int) -> Measure:
    return change_over_days(days, logarithmic=True)


METRICS: tuple[Metric, ...] = (
    Metric(
        "coin",
        ("AdrActCnt", "active_addresses"),
        {
            "active_addresses_change_7d": _log_change(7),
            "active_addresses_z_90": z_score(90, 100, _logs),
        },
        90,
    ),
    Metric(
        "coin",
        ("TxCnt", "transaction_count"),
        {"transactions_change_7d": _log_change(7), "transactions_z_90": z_score(90, 100, _logs)},
        90,
    ),
    Metric("coin", ("HashRate",), {"hash_rate_change_30d": _log_change(30)}, 31),
    Metric("coin", ("FeeTotNtv",), {"coin_fees_z_90": z_score(90, 100, _logs)}, 90),
    Metric(
        "coin",
        ("CapMVRVCur",),
        {
            "mvrv_ratio": newest,
            "mvrv_change_30d": _log_change(30),
            "mvrv_z_180": z_score(180, 190),
        },
        180,
    ),
    Metric(
        "chain",
        ("tvl_usd",),
        {"tvl_change_7d": _log_change(7), "tvl_change_30d": _log_change(30)},
        31,
    ),
    Metric(
        "market",
        ("circulating",),
        {
            "stablecoin_supply_change_7d": _log_change(7),
            "stablecoin_supply_change_30d": _log_change(30),
        },
        31,
    ),
    Metric(
        "market",
        ("fear_greed",),
        {"fear_greed_level": newest, "fear_greed_change_7d": change_over_days(7)},
        8,
    ),
)
_STABLECOINS = "circulating"
_PEG = "USD"


def compute(
    bars: pl.DataFrame, metrics: pl.DataFrame, features: FeaturesSection | None = None
) -> pl.DataFrame:
    """Compute the on-chain family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only their sessions are read.
    metrics
        Rows of `core.onchain_metrics`; ``superseded_at`` is of the future and is not read.
    features
        Configuration: which coin and chain is behind a symbol.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.onchain``: one per bar of a crypto symbol, from the first metric on.
    """
    features = features or FeaturesSection()
    rows = metrics.with_columns(day=pl.col("ts").dt.date())
    assets = _assets(bars, rows, features)
    wanted = prepare(bars.join(assets, on="symbol", how="semi"))
    frame = wanted.select(KEY).join(assets, on="symbol", how="left", maintain_order="left")
    # An asset of the symbol's own name is no crypto symbol before it has a metric of its own.
    known = pl.lit(value=False)
    for metric in METRICS:
        found = _found(rows, metric)
        by = None if metric.scope == "market" else metric.scope
        if by is not None:
            found = found.rename({"asset": by})
        joined = asof_join(frame.select(*KEY, "coin", "chain"), found, by=by)
        fresh = pl.col("ts") - pl.col("released_at") <= STALE
        frame = frame.with_columns(
            joined.select(
                *(pl.when(fresh).then(pl.col(n)).alias(n) for n in metric.measures),
                pl.col("released_at").alias(f"_{metric.names[0]}"),
            ).get_columns()
        )
        counts = pl.col(f"_{metric.names[0]}").is_not_null()
        known = known | (counts if by is not None else counts & pl.col("is_configured"))
    return undefined_to_null(frame.filter(known).select(*KEY, *_NAMES))


def _found(rows: pl.DataFrame, metric: Metric) -> pl.DataFrame:
    """Measures of each series of a metric; of two of one asset the one released last is joined."""
    chosen = rows.filter(pl.col("metric").is_in(metric.names))
    if metric.names == (_STABLECOINS,):
        chosen = total_supply(chosen)
    series = ["source", "dataset", "metric", "asset"]
    return as_known(chosen, metric.measures, by=series, length=metric.length, period="day")


def total_supply(rows: pl.DataFrame) -> pl.DataFrame:
    """Dollar stablecoins of a source added up by day, at each instant one of them became known.

    A total counts the coins known by then, and stands only where it has every coin that an earlier
    day of the source had: a coin that is late would look like one that was redeemed.
    """
    series = ["source", "dataset", "metric", "day"]
    coin = ["source", "dataset", "metric", "asset", "day"]
    of_source = ["source", "dataset", "metric"]
    value = pl.col("value")
    totals = (
        rows.filter(pl.col("unit") == _PEG, pl.col("value").is_finite())
        .sort(*coin, "known_at")
        .with_columns(
            _added=value - value.shift(1).over(coin).fill_null(0.0),
            _coins=(pl.int_range(pl.len()).over(coin) == 0).cast(pl.Int64),
        )
        .sort(*series, "known_at", "asset")
        .with_columns(
            value=pl.col("_added").cum_sum().over(series),
            _coins=pl.col("_coins").cum_sum().over(series),
        )
        .group_by(*series, "known_at", maintain_order=True)
        .agg(pl.col("value", "_coins").last())
        .sort(*of_source, "known_at", "day")
        .with_columns(_most=pl.col("_coins").cum_max().over(of_source))
    )
    complete = totals.filter(pl.col("_coins") == pl.col("_most"))
    return complete.select(*series, "known_at", "value", asset=pl.lit("stablecoins"))


def _assets(bars: pl.DataFrame, rows: pl.DataFrame, features: FeaturesSection) -> pl.DataFrame:
    """Coin and chain of each symbol that has one, null where it has none."""
    named = set(rows["asset"].unique())
    symbols = bars["symbol"].unique().sort().to_list()
    found = []
    for symbol in symbols:
        own = symbol if symbol in named else None
        coin = features.onchain_coins.get(symbol, own)
        chain = features.onchain_chains.get(symbol, own)
        is_configured = symbol in features.onchain_coins or symbol in features.onchain_chains
        if coin is not None or chain is not None:
            found.append((symbol, coin, chain, is_configured))
    schema = {"symbol": pl.String, "coin": pl.String, "chain": pl.String, "is_configured": pl.Boolean}  # fmt: skip
    return pl.DataFrame(found, schema=schema, orient="row")


def _words() -> dict[str, tuple[str, str, str, int]]:
    """Formula, source, unit and look-back (days of a market that never closes) by feature."""
    own = "own definition"
    z90 = "(ln x - mean90(ln x)) / std90(ln x) of the newest 90 days, as known"
    change = "ln(x / x {} days before), as known; null 4 days after its release".format
    mvrv = "Mahmudov and Puell 2018, market over realised value"
    return {
        "active_addresses_change_7d": (f"{change(7)}; x active addresses of the coin", own, "log change", 7),
        "active_addresses_z_90": (z90, own, "standard deviations", 89),
        "transactions_change_7d": (f"{change(7)}; x transactions of the coin", own, "log change", 7),
        "transactions_z_90": (z90, own, "standard deviations", 89),
        "hash_rate_change_30d": (f"{change(30)}; x hash rate", own, "log change", 30),
        "coin_fees_z_90": (z90, own, "standard deviations", 89),
        "mvrv_ratio": ("market value / realised value, newest day known", mvrv, "ratio", 0),
        "mvrv_change_30d": (change(30), mvrv, "log change", 30),
        "mvrv_z_180": ("(x - mean180) / std180, as known", mvrv, "standard deviations", 179),
        "tvl_change_7d": (f"{change(7)}; x value locked on the chain", own, "log change", 7),
        "tvl_change_30d": (change(30), own, "log change", 30),
        "stablecoin_supply_change_7d": (f"{change(7)}; x all dollar stablecoins of a source", own, "log change", 7),
        "stablecoin_supply_change_30d": (change(30), own, "log change", 30),
        "fear_greed_level": ("newest value known", "alternative.me", "0 to 100", 0),
        "fear_greed_change_7d": ("x - x 7 days before, as known", "alternative.me", "points", 7),
    }  # fmt: skip


FEATURES: tuple[Feature, ...] = tuple(
    Feature(name, "onchain", *_words()[name], metric.names)
    for metric in METRICS
    for name in metric.measures
)
_NAMES = tuple(feature.name for feature in FEATURES)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; no window is configurable."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], inputs["onchain_metrics"], config.features)
