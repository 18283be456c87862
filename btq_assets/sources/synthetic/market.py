"""A generated market: what arrives, and the truth behind it.

Belongs here: the composition of the generator's parts. Ticks and options are large, so they are
made when asked for (`ticks.py`, `options.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from btq_assets.sources.synthetic import bars as bar_rows
from btq_assets.sources.synthetic import news as news_rows
from btq_assets.sources.synthetic.paths import Paths, regimes, simulate
from btq_assets.sources.synthetic.spec import DATASET, MINUTES_PER_SESSION, MarketSpec


@dataclass(frozen=True)
class SyntheticMarket:
    """Everything SYNTHETIC that one `MarketSpec` gives.

    Parameters
    ----------
    spec
        What was asked for.
    paths
        True prices, volatilities, innovations and signals, ``[n_minutes, n_symbols]``.
    clean_bars
        One-minute bars as they should arrive: columns of ``raw.bars_synthetic``.
    bars
        The same as they do arrive, planted faults included, in the order of arrival.
    faults
        Each planted fault: ``fault, symbol, ts, column, true_value, planted_value``.
    news
        Dated headlines: columns of ``raw.documents_sample`` and the true ``tone`` (-1, 0, 1).
    """

    spec: MarketSpec
    paths: Paths
    clean_bars: pl.DataFrame
    bars: pl.DataFrame
    faults: pl.DataFrame
    news: pl.DataFrame

    @cached_property
    def daily_bars(self) -> pl.DataFrame:
        """One bar a session, made of the bars that arrived: columns of ``raw.bars_synthetic``."""
        return bar_rows.daily_bars(self.bars)

    @cached_property
    def signals(self) -> pl.DataFrame:
        """What a planted edge is made of: ``dataset, symbol, ts, known_at, value``."""
        return self.clean_bars.select("dataset", "symbol", "ts", "known_at").with_columns(
            value=pl.Series(self.paths.signal.T.ravel())
        )

    @cached_property
    def state(self) -> pl.DataFrame:
        """The truth of each minute.

        ``symbol, ts, sigma`` (standard deviation of the minute's log return, known before),
        ``innovation`` (its return in units of sigma), ``half_spread_bps``, ``regime``.
        """
        spec, paths = self.spec, self.paths
        by_minute = np.repeat(regimes(spec), MINUTES_PER_SESSION)
        return self.clean_bars.select("symbol", "ts").with_columns(
            sigma=pl.Series(paths.sigma.T.ravel()),
            innovation=pl.Series(paths.innovation.T.ravel()),
            half_spread_bps=pl.Series(self.half_spread_bps.T.ravel()),
            regime=pl.Series(np.tile(by_minute, spec.n_symbols)),
        )

    @cached_property
    def half_spread_bps(self) -> np.ndarray:
        """Half of the bid-ask spread, basis points, ``[n_minutes, n_symbols]``."""
        return bar_rows.half_spreads_bps(self.spec, self.paths)

    @property
    def dataset(self) -> str:
        """Name of the dataset in every row."""
        return DATASET


def generate(spec: MarketSpec) -> SyntheticMarket:
    """Generate the market of `spec`; equal specifications give equal markets."""
    news = news_rows.headlines(spec)
    paths = simulate(spec, news_rows.drift(spec, news))
    clean = bar_rows.check_columns(bar_rows.clean_bars(spec, paths))
    arrived, faults = bar_rows.plant(spec, clean)
    return SyntheticMarket(spec, paths, clean, arrived, faults, news)
