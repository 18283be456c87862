"""Options family: what the options on a symbol implied at a bar, and who traded them.

Belongs here: readings of snapshots, unusual contracts and sweeps as known at a bar, and their
changes over the symbol's sessions. Does not belong here: implied volatilities and smiles
(`sources.alternative`).

The underlying of a symbol is the configured one (``features.option_underlyings``) or the symbol
itself. A bar reads the newest snapshot known; of two datasets the one known last. A change between
snapshots of two datasets is undefined: they differ in what they quote, not only in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.features.as_known import standard_score
from btq_assets.features.definitions import (
    KEY,
    SESSIONS_PER_YEAR,
    SYMBOL,
    Feature,
    prepare,
    undefined_to_null,
)
from btq_assets.timeline import asof_join

#: Age of a snapshot beyond which it says nothing: a long weekend.
STALE = timedelta(days=5)
_MONTH, _WEEK = 21, 5
#: Expiries taken for one of 30 days, in years.
_BUTTERFLY_YEARS = (7 / 365, 90 / 365)
_NEAR_YEARS = 30 / 365
_SNAPSHOT = ("source", "dataset", "underlying", "ts")
_DATASET = ("source", "dataset")

Frames = Mapping[str, pl.DataFrame]


def compute(
    bars: pl.DataFrame, tables: Frames, features: FeaturesSection | None = None
) -> pl.DataFrame:
    """Compute the options family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`: sessions, and adjusted closes for the variance realised.
    tables
        ``metrics``, ``surfaces``, ``unusual`` and ``sweeps``: rows of `core.option_metrics`,
        `core.option_surfaces`, `core.unusual_options` and `core.option_sweeps`.
    features
        Configuration: which underlying is behind a symbol.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.options_flow``: one per bar from the first snapshot or sweep of its
        underlying on.
    """
    features = features or FeaturesSection()
    prepared = prepare(bars).select(*KEY, "_r").with_columns(
        underlying=pl.col("symbol").replace(features.option_underlyings)
    )  # fmt: skip
    quoted = pl.concat([tables[name].select("underlying") for name in ("metrics", "sweeps")])
    frame = prepared.join(quoted.unique(), on="underlying", how="semi").sort(KEY)
    frame = _with_snapshots(frame, snapshots(tables))
    frame = _with_sweeps(frame, tables["sweeps"])
    known = pl.col("_snapshot").is_not_null() | (pl.col("_sweeps").cum_sum().over(SYMBOL) > 0)
    return undefined_to_null(_columns(frame).filter(known).select(*KEY, *_NAMES))


def snapshots(tables: Frames) -> pl.DataFrame:
    """Each snapshot with what its smiles and unusual contracts add to it.

    A smile or contract that became known after its snapshot is left out: the row stands for what
    was known at the snapshot's ``known_at``.
    """
    metrics = tables["metrics"]
    of_snapshot = metrics.select(*_SNAPSHOT, pl.col("known_at").alias("_known"))

    def known_by_then(frame: pl.DataFrame) -> pl.DataFrame:
        joined = frame.join(of_snapshot, on=_SNAPSHOT, how="inner")
        return joined.filter(pl.col("known_at") <= pl.col("_known"))

    return (
        metrics.join(_smiles(known_by_then(tables["surfaces"])), on=_SNAPSHOT, how="left")
        .join(_unusual(known_by_then(tables["unusual"])), on=_SNAPSHOT, how="left")
        .sort("known_at", *_SNAPSHOT)
    )


def _smiles(surfaces: pl.DataFrame) -> pl.DataFrame:
    usable = surfaces.filter(pl.col("atm_iv").is_finite(), pl.col("years") > 0)
    ordered = usable.sort(*_SNAPSHOT, "expires_at")
    log_years, level = pl.col("years").log(), pl.col("atm_iv")
    centred = log_years - log_years.mean()
    slope = (centred * (level - level.mean())).sum() / (centred * centred).sum()
    slopes = ordered.group_by(_SNAPSHOT, maintain_order=True).agg(
        _slope=pl.when(pl.len() >= 3).then(slope)
    )
    wings = pl.col("put_25d_iv").is_not_null() & pl.col("call_25d_iv").is_not_null()
    near = (
        ordered.filter(pl.col("years").is_between(*_BUTTERFLY_YEARS), wings)
        .sort(*_SNAPSHOT, (pl.col("years") - _NEAR_YEARS).abs(), "expires_at")
        .group_by(_SNAPSHOT, maintain_order=True)
        .first()
        .select(
            *_SNAPSHOT,
            _butterfly=(pl.col("put_25d_iv") + pl.col("call_25d_iv")) / 2 - pl.col("atm_iv"),
        )
    )
    return slopes.join(near, on=_SNAPSHOT, how="left")


def _unusual(unusual: pl.DataFrame) -> pl.DataFrame:
    puts = pl.col("volume").filter(pl.col("kind") == "put")
    return (
        unusual.sort(*_SNAPSHOT, "contract_id")
        .group_by(_SNAPSHOT, maintain_order=True)
        .agg(_put_share=puts.sum() / pl.col("volume").sum())
    )


def _with_snapshots(frame: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """The newest snapshot known at each bar; null once stale."""
    right = (
        found.rename({"ts": "_snapshot"}).drop("known_at").with_columns(known_at=found["known_at"])
    )
    joined = asof_join(frame, right, by="underlying")
    values = [name for name in right.columns if name not in ("underlying", "_snapshot", "known_at")]
    fresh = pl.col("ts") - pl.col("known_at") <= STALE
    return joined.with_columns(pl.when(fresh).then(pl.col(name)).alias(name) for name in values)


def _with_sweeps(frame: pl.DataFrame, sweeps: pl.DataFrame) -> pl.DataFrame:
    """Sweeps and their signed premium at the first bar at which each one was known."""
    bullish = (pl.col("side") == "buy") == (pl.col("kind") == "call")
    premium = pl.col("premium")
    ordered = sweeps.sort("known_at", "source", "dataset", "contract_id", "first_trade_id")
    counted = ordered.select(
        "underlying",
        "known_at",
        _premium=premium,
        _signed=pl.when(bullish).then(premium).otherwise(-premium),
    )
    parts = []
    # Without a tolerance: a sweep known in a hole of the bars counts at the bar after it.
    for keys, part in counted.partition_by("underlying", as_dict=True, maintain_order=True).items():
        bars = frame.filter(pl.col("underlying") == keys[0]).select(*KEY)
        for symbol in bars.partition_by(*SYMBOL, maintain_order=True):
            place = np.searchsorted(symbol["ts"].to_numpy(), part["known_at"].to_numpy())
            kept = place < symbol.height
            at = symbol[place[kept]].with_columns(part.filter(kept).get_columns()[2:])
            parts.append(
                at.group_by(KEY, maintain_order=True).agg(
                    pl.len().cast(pl.Float64).alias("_sweeps"), pl.col("_premium", "_signed").sum()
                )
            )
    names = ("_sweeps", "_premium", "_signed")
    if not parts:
        return frame.with_columns(pl.lit(0.0).alias(name) for name in names)
    joined = frame.join(pl.concat(parts), on=KEY, how="left", maintain_order="left")
    return joined.with_columns(pl.col(names).fill_null(0.0))


def _columns(frame: pl.DataFrame) -> pl.DataFrame:
    def since(name: str, sessions: int) -> pl.Expr:
        same = pl.all_horizontal(
            pl.col(key) == pl.col(key).shift(sessions).over(SYMBOL) for key in _DATASET
        )
        change = pl.col(name) - pl.col(name).shift(sessions).over(SYMBOL)
        return pl.when(same).then(change)

    def total(name: str, sessions: int, of: pl.Expr | None = None) -> pl.Expr:
        """Plain sum of each window's own values; null where one is missing."""
        value = pl.col(name) if of is None else of
        terms = [value.shift(k).over(SYMBOL) for k in range(sessions)]
        missing = pl.any_horizontal(term.is_null() for term in terms)
        return pl.when(~missing).then(pl.sum_horizontal(terms))

    def week(name: str) -> pl.Expr:
        terms = (pl.col(name).shift(k, fill_value=0.0).over(SYMBOL) for k in range(_WEEK))
        return pl.sum_horizontal(terms)

    squares = total("_r", _MONTH, pl.col("_r").pow(2))
    realised = squares * SESSIONS_PER_YEAR / _MONTH
    traded = week("_premium")
    frame = frame.with_columns(_week_sweeps=week("_sweeps"), _week_premium=traded)
    return frame.with_columns(
        option_atm_iv_30d=pl.col("atm_iv_30d"),
        option_atm_iv_change_5d=since("atm_iv_30d", _WEEK),
        option_atm_iv_change_21d=since("atm_iv_30d", _MONTH),
        option_skew_25d_30d=pl.col("skew_25d_30d"),
        option_skew_change_5d=since("skew_25d_30d", _WEEK),
        option_term_slope=pl.col("term_slope"),
        option_term_slope_log=pl.col("_slope"),
        option_butterfly_25d=pl.col("_butterfly"),
        option_put_call_volume=pl.col("put_call_volume"),
        option_put_call_oi=pl.col("put_call_oi"),
        option_put_call_volume_z_21=_z_score("put_call_volume"),
        option_volume_to_oi=pl.when(pl.col("open_interest") > 0).then(
            pl.col("volume") / pl.col("open_interest")
        ),
        option_variance_premium=pl.col("atm_iv_30d").pow(2) - realised,
        option_unusual_volume_score=pl.col("unusual_volume_score"),
        option_unusual_contracts=pl.col("n_unusual_contracts").cast(pl.Float64),
        option_unusual_put_share=pl.col("_put_share"),
        option_sweeps_5d=pl.when(pl.col("_week_sweeps") > 0).then(pl.col("_week_sweeps")),
        option_sweep_imbalance_5d=pl.when(pl.col("_week_premium") > 0).then(
            week("_signed") / pl.col("_week_premium")
        ),
    )


def _z_score(name: str) -> pl.Expr:
    """Log of a ratio among the last 21 sessions of one dataset, all of them present."""
    usable = pl.col(name) > 0
    packed = pl.struct(
        pl.when(usable).then(pl.col(name).log()).alias("value"),
        pl.concat_str(_DATASET, separator="/").alias("dataset"),
    )
    return packed.map_batches(_window_scores, return_dtype=pl.Float64).over(SYMBOL)


def _window_scores(packed: pl.Series) -> pl.Series:
    values = packed.struct.field("value").to_numpy().astype(float)
    dataset = packed.struct.field("dataset").fill_null("").rle_id().to_numpy()
    scores = np.full(values.size, np.nan)
    for end in range(_MONTH, values.size + 1):
        start = end - _MONTH
        if dataset[start] == dataset[end - 1]:
            scores[end - 1] = standard_score(values[start:end])
    return pl.Series(scores).fill_nan(None)


_M, _OWN = "option_metrics", "own definition"
_BKM = "Carr and Wu 2009, variance premium; 30-day at-the-money volatility for the swap rate"
_XZZ = "Xing, Zhang and Zhao 2010, slope of the smile at 25 delta"

FEATURES: tuple[Feature, ...] = tuple(
    Feature(name, "options_flow", formula, source, unit, lookback, needs)
    for name, formula, source, unit, lookback, needs in (
        ("option_atm_iv_30d", "v = atm_iv_30d of the newest snapshot known; null 5 days after it was known", _OWN, "annual volatility", 0, (f"{_M}.atm_iv_30d",)),
        ("option_atm_iv_change_5d", "v[t] - v[t-5], one dataset", _OWN, "annual volatility", 5, (f"{_M}.atm_iv_30d",)),
        ("option_atm_iv_change_21d", "v[t] - v[t-21], one dataset", _OWN, "annual volatility", 21, (f"{_M}.atm_iv_30d",)),
        ("option_skew_25d_30d", "put minus call volatility at 25 delta, 30 days", _XZZ, "annual volatility", 0, (f"{_M}.skew_25d_30d",)),
        ("option_skew_change_5d", "skew[t] - skew[t-5], one dataset", _XZZ, "annual volatility", 5, (f"{_M}.skew_25d_30d",)),
        ("option_term_slope", "atm volatility at 90 days - at 30 days", _OWN, "annual volatility", 0, (f"{_M}.term_slope",)),
        ("option_term_slope_log", "least-squares slope of atm_iv on ln(years) over the snapshot's expiries, at least 3", _OWN, "annual volatility per log year", 0, ("option_surfaces.atm_iv", "option_surfaces.years")),
        ("option_butterfly_25d", "(put_25d_iv + call_25d_iv) / 2 - atm_iv, expiry nearest to 30 days among 7 to 90", _OWN, "annual volatility", 0, ("option_surfaces.put_25d_iv", "option_surfaces.call_25d_iv", "option_surfaces.atm_iv")),
        ("option_put_call_volume", "q = puts / calls traded", "Pan and Poteshman 2006, all trades", "ratio", 0, (f"{_M}.put_call_volume",)),
        ("option_put_call_oi", "puts / calls open", _OWN, "ratio", 0, (f"{_M}.put_call_oi",)),
        ("option_put_call_volume_z_21", "(ln q - mean21(ln q)) / std21(ln q), one dataset", _OWN, "standard deviations", 20, (f"{_M}.put_call_volume",)),
        ("option_volume_to_oi", "contracts traded / open", _OWN, "ratio", 0, (f"{_M}.volume", f"{_M}.open_interest")),
        ("option_variance_premium", "v^2 - 252 mean21(r^2)", _BKM, "annual variance", 21, (f"{_M}.atm_iv_30d", "adj_close")),
        ("option_unusual_volume_score", "as in core.option_metrics", _OWN, "standard deviations", 0, (f"{_M}.unusual_volume_score",)),
        ("option_unusual_contracts", "contracts of the snapshot with volume > open interest", _OWN, "contracts", 0, (f"{_M}.n_unusual_contracts",)),
        ("option_unusual_put_share", "volume of puts / of all in the snapshot's unusual contracts", _OWN, "share", 0, ("unusual_options.volume", "unusual_options.kind")),
        ("option_sweeps_5d", "sweeps first known at the last 5 bars; null where none", _OWN, "sweeps", 0, ("option_sweeps.known_at",)),
        ("option_sweep_imbalance_5d", "sum(s x premium) / sum(premium) of these; s = 1 for calls bought and puts sold, else -1", _OWN, "-1 to 1", 0, ("option_sweeps.premium", "option_sweeps.side", "option_sweeps.kind")),
    )
)  # fmt: skip
_NAMES = tuple(feature.name for feature in FEATURES)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions; no window is configurable."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    tables = {
        "metrics": inputs["option_metrics"],
        "surfaces": inputs["option_surfaces"],
        "unusual": inputs["unusual_options"],
        "sweeps": inputs["option_sweeps"],
    }
    return compute(inputs["bars"], tables, config.features)
