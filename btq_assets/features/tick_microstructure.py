"""Tick microstructure family: what trading cost, which way it went and what it moved, by bar.

Belongs here: the table of the family. Does not belong here: single bars (`tick_bars`), windows over
them (`tick_windows`), estimates from daily bars (`microstructure`).

Rows are bars with any event. A row stands for what was known at its end; the newest one goes on
until its end has come. Where two exchanges trade an instrument the first by name speaks for a bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.contracts.features.tick_microstructure import TICK_MICROSTRUCTURE
from btq_assets.features import microprice, tick_bars, tick_windows
from btq_assets.features.definitions import KEY, Feature, undefined_to_null
from btq_assets.features.tick_bars import SERIES

_BPS = 1e4
_MILLION = 1e6

_TRADES, _QUOTES, _BOTH = ("trades",), ("quotes",), ("trades", "quotes")
_BOOK = ("book_changes",)
_COUNTS = ("n_trades", "n_aggressor_known", "n_lee_ready_right", "n_tick_rule_right")

_LEE_READY = (
    "D 1 above the mid price m of the quote strictly before, -1 below it, else the tick rule"
)
_BAR_RETURN = "q the log return of the mid price at the ends of bars that follow one another, bps"


def features_for(features: FeaturesSection) -> tuple[Feature, ...]:
    """Definitions for the configured bar, window and horizon."""
    horizon = f"{features.tick_horizon_seconds:g} s"
    n = features.tick_window_bars
    rows = (
        ("quoted_spread_bps", "mean of 1e4 (a - b) / m over the bar, by time", "Huang and Stoll (1996)", "bps", _QUOTES),
        ("effective_spread_bps", "1e4 2 |p - m| / m by quantity, m the mid price strictly before", "Huang and Stoll (1996)", "bps", _BOTH),
        ("realised_spread_bps", f"1e4 2 D (p - m[+{horizon}]) / m by quantity, trades whose horizon ended in the bar; {_LEE_READY}", "Huang and Stoll (1996)", "bps", _BOTH),
        ("price_impact_bps", f"1e4 2 D (m[+{horizon}] - m) / m by quantity, the same trades", "Huang and Stoll (1996)", "bps", _BOTH),
        ("lee_ready_imbalance", f"sum(D q) / sum(q); {_LEE_READY}", "Lee and Ready (1991)", "-1 to 1", _BOTH),
        ("tick_rule_imbalance", "the same, D the sign of the last change of the trade price", "Lee and Ready (1991)", "-1 to 1", _TRADES),
        ("aggressor_imbalance", "the same, D 1 where the buyer crossed the spread, by the exchange", "own definition", "-1 to 1", _TRADES),
        ("ofi_top_units", "sum of [b >= b'] qb - [b <= b'] qb' - [a <= a'] qa + [a >= a'] qa', ' the quote before", "Cont, Kukanov and Stoikov (2014), eq. 3", "units", _QUOTES),
        ("ofi_top_depths", "ofi_top_units / mean((qb + qa) / 2)", "Cont, Kukanov and Stoikov (2014), eq. 11", "mean depths", _QUOTES),
        ("ofi_deep_depths", "the same, mean of levels 1 to 5 of the book", "Xu, Gould and Howison (2018), plain mean of levels", "mean depths", _BOOK),
        ("depth_imbalance_top", "(qb - qa) / (qb + qa), the quote at the end of the bar", "own definition", "-1 to 1", _QUOTES),
        ("depth_imbalance_5", "the same, sums of 5 levels of the book at its last change", "own definition", "-1 to 1", _BOOK),
        ("depth_imbalance_10", "the same, sums of 10 levels", "own definition", "-1 to 1", _BOOK),
        ("book_slope", "mean of both sides of (v1 / |p1/m - 1| + sum of (v[k+1]/v[k] - 1) / |p[k+1]/p[k] - 1|) / 5, v = ln(1 + cumulative units), 5 levels", "Næs and Skjeltorp (2006), eq. 2 and 3, with ln(1 + units)", "elasticity", _BOOK),
        ("microprice_distance_bps", "1e4 ((b qa + a qb) / (qa + qb) / m - 1) at the end of the bar", "weighted mid price, as in Stoikov (2018), section 1", "bps", _QUOTES),
        ("stoikov_microprice_distance_bps", "1e4 (exp(g(x)) - 1), g = r + P g; x one of 10 imbalances qb / (qb + qa) and 3 spreads, P and r its next state and log mid move over all days before, each transition with its mirror image", "Stoikov (2018), theorem 3.1", "bps", _QUOTES),
        ("trades_per_second", "trades / seconds of the bar", "own definition", "1/s", _TRADES),
        ("quotes_per_second", "changes of the best quotes / seconds of the bar", "own definition", "1/s", _QUOTES),
        ("mid_return_sd_bps", f"std{n}(q), {_BAR_RETURN}", "own definition", "bps per bar", _QUOTES),
        ("kyle_lambda_bps_per_million", f"cov{n}(q, x) / var{n}(x), x = sum(D p q) / 1e6; {_BAR_RETURN}", "Kyle (1985), Hasbrouck (2007), ordinary least squares", "bps per million", _BOTH),
        ("kyle_lambda_t", "kyle_lambda_bps_per_million / its standard error", "ordinary least squares", "standard errors", _BOTH),
        ("amihud_bps_per_million", f"mean{n}(|q| / V), V = sum(p q) / 1e6", "Amihud (2002), eq. 1, by bar", "bps per million", _BOTH),
        ("vpin", "mean |bought - sold| / bucket over 50 buckets of a fiftieth of the day before's volume, counted back from the bar; bought by bulk classification, deviation of the day before", "Easley, López de Prado and O'Hara (2012), eq. 7 and 8", "0 to 1", _TRADES),
    )  # fmt: skip
    return tuple(
        Feature(name, "tick_microstructure", formula, source, unit, 0, needs)
        for name, formula, source, unit, needs in rows
    )


def compute(
    trades: pl.DataFrame,
    quotes: pl.DataFrame,
    book: pl.DataFrame,
    features: FeaturesSection | None = None,
) -> pl.DataFrame:
    """Compute the tick microstructure family.

    Parameters
    ----------
    trades, quotes, book
        Rows of `core.trades`, `core.quotes` and `core.book_changes`; any of them may be empty.
    features
        Configuration: bar, window and horizon.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.tick_microstructure``, sorted by universe, symbol and time.
    """
    features = features or FeaturesSection()
    bar, on = features.tick_bar, [*SERIES, "ts"]
    best = microprice.with_adjustment(
        tick_bars.ordered_quotes(quotes), SERIES, tick_bars.MAX_QUOTE_AGE
    )
    signed = tick_bars.signed_trades(trades, best)
    traded = tick_bars.trade_bars(signed, bar)
    books = tick_bars.book_bars(book, bar)
    ends = tick_bars.bar_end(pl.col("known_at"), bar)
    rows = (
        pl.concat([traded.select(on), books.select(on), best.select(*SERIES, ts=ends)])
        .unique()
        .sort(on)
    )
    horizon = timedelta(seconds=features.tick_horizon_seconds)
    for part in (
        traded,
        tick_bars.realised_bars(signed, best, bar, horizon),
        tick_bars.quote_bars(best, rows, bar),
        books,
    ):
        rows = rows.join(part, on=on, how="left", maintain_order="left")
    seconds = _length(bar).total_seconds()
    counted = rows.with_columns(pl.col(*_COUNTS).fill_null(0)).with_columns(
        trades_per_second=pl.col("n_trades") / seconds,
        quotes_per_second=pl.col("_n_quotes").fill_null(0) / seconds,
    )
    windowed = _with_windows(counted, _length(bar), features.tick_window_bars)
    chosen = windowed.sort(*KEY, "source", "dataset").unique(KEY, keep="first", maintain_order=True)
    return undefined_to_null(chosen.select(TICK_MICROSTRUCTURE.column_names))


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the bar, window and horizon of `config`."""
    return features_for(config.features)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["trades"], inputs["quotes"], inputs["book"], config.features)


def _length(bar: str) -> timedelta:
    return timedelta(minutes=int(bar.removesuffix("m")))


def _with_windows(rows: pl.DataFrame, length: timedelta, n: int) -> pl.DataFrame:
    """`rows`, sorted by series and time, with what is measured over several of them."""
    follows = pl.col("ts").diff() == length
    value, ended = pl.col("_value"), pl.col("mid_price").log()
    prepared = rows.with_columns(
        _return=pl.when(follows).then(ended.diff() * _BPS).over(SERIES),
        _flow=(pl.col("_signed_value") / _MILLION).fill_null(0.0),
    ).with_columns(_illiquid=pl.when(value > 0).then(pl.col("_return").abs() / value * _MILLION))
    names = ("mid_return_sd_bps", "kyle_lambda_bps_per_million", "kyle_lambda_t",
             "amihud_bps_per_million", "vpin")  # fmt: skip
    parts = []
    for series in prepared.partition_by(SERIES, maintain_order=True):
        returns, flow, illiquid = (
            series[name].fill_null(np.nan).to_numpy() for name in ("_return", "_flow", "_illiquid")
        )
        slope, t = tick_windows.impact(returns, flow, n)
        values = (
            tick_windows.deviation(returns, n),
            slope,
            t,
            tick_windows.mean_of(illiquid, n),
            _vpin(series),
        )
        parts.append(
            series.with_columns(
                pl.Series(name, found, dtype=pl.Float64)
                for name, found in zip(names, values, strict=True)
            )
        )
    if parts:
        return pl.concat(parts)
    return prepared.with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)


def _vpin(series: pl.DataFrame) -> np.ndarray:
    """VPIN at each row with trades."""
    with_trades = (series["n_trades"] > 0).to_numpy()
    bars = series.filter(pl.Series(with_trades))
    # A bar that ends at midnight is of the day it began in.
    day = (bars["ts"] - timedelta(microseconds=1)).dt.epoch("d").cast(pl.Int64).to_numpy()
    volume, first, last = (bars[name].to_numpy() for name in ("_units", "_first", "_last"))
    found = np.full(series.height, np.nan)
    found[with_trades] = tick_windows.vpin(day, volume, first, last)
    return found
