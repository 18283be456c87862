"""From the bars that came to the weights that are wanted: features, forecast, ranks.

Belongs here: asking, for one bar, the functions the assets call for all of them. Does not belong
here: formulas, models, weighting rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets import timeline
from btq_assets.config import TradingConfig
from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.contracts.features import columns_of
from btq_assets.execution.live.market import nanoseconds
from btq_assets.execution.live.settings import LiveError
from btq_assets.features.custom import all_families
from btq_assets.models import saved
from btq_assets.models.forecaster import MODEL_FILE, Forecaster, MismatchError, OneDate
from btq_assets.portfolio.panel import PricePanel

#: Column of the training set that bars give without a feature family.
_RETURN = "session_return"
_ROOM = 512


class Targets(Protocol):
    """What a loop asks of whoever decides."""

    def warm_up(self, history: pl.DataFrame) -> None:
        """Take the bars of the past."""
        ...

    def observe(self, bars: pl.DataFrame) -> None:
        """Take the bars of one more session."""
        ...

    def weights(self, ts: datetime) -> dict[str, float]:
        """Wanted share of equity by symbol, after the bars of `ts`."""
        ...


def load_forecaster(folder: Path) -> Forecaster:
    """`models.load_forecaster`, its refusals being those of a loop.

    Raises
    ------
    LiveError
        The folder holds no model, a damaged one, or one of a family nobody here can read.
    """
    if not (Path(folder) / MODEL_FILE).is_file():
        raise LiveError(
            f"{folder}: no {MODEL_FILE} there; give the folder of a model of models.registry"
        )
    try:
        return saved.load_forecaster(folder)
    except MismatchError as error:
        raise LiveError(str(error)) from error


def families_of(features: Sequence[str], config: TradingConfig) -> tuple[str, ...]:
    """Families of bars alone that give these features.

    Raises
    ------
    LiveError
        A feature needs other tables, or is not known.
    """
    left = set(features) - {_RETURN}
    found = []
    for family in all_families(config):
        given = left & set(columns_of(family.contract))
        if given and set(family.inputs) == {"bars"}:
            found.append(family.name)
            left -= given
    if left:
        raise LiveError(
            f"the model reads {sorted(left)}, which no family computes from bars alone; load a "
            "model fitted on features of bars"
        )
    return tuple(found)


class PriceWindow:
    """Adjusted closes of the last sessions, sessions × symbols."""

    def __init__(self, universe: str, symbols: Sequence[str], n_sessions: int) -> None:
        self.universe = universe
        self.symbols = tuple(symbols)
        self.n_sessions = n_sessions
        self._column = {symbol: number for number, symbol in enumerate(self.symbols)}
        self._prices = np.full((n_sessions + _ROOM, len(self.symbols)), np.nan)
        self._ts_us = np.zeros(n_sessions + _ROOM, dtype=np.int64)
        self._end = 0
        #: Which symbols ever had a price.
        self.seen = np.zeros(len(self.symbols), dtype=bool)

    def add(self, ts: datetime, symbols: Sequence[str], prices: Sequence[float]) -> None:
        """One more session."""
        if self._end == len(self._ts_us):
            keep = self.n_sessions
            self._prices[:keep], self._ts_us[:keep] = self._prices[-keep:], self._ts_us[-keep:]
            self._end = keep
        row = self._prices[self._end]
        row[:] = np.nan
        columns = [self._column[symbol] for symbol in symbols]
        row[columns] = prices
        self.seen[columns] = True
        self._ts_us[self._end] = _microseconds(ts)
        self._end += 1

    def see(self, symbols: Sequence[str]) -> None:
        """Symbols that had a price before the window."""
        self.seen[[self._column[symbol] for symbol in symbols]] = True

    def prices(self, n_sessions: int) -> np.ndarray:
        """``float64[min(n, sessions), N]``, the newest last."""
        return self._prices[max(0, self._end - n_sessions) : self._end]

    def panel(self) -> PricePanel:
        """The window as the portfolio room reads prices; bars are known at their end."""
        since = max(0, self._end - self.n_sessions)
        return PricePanel(
            self.universe,
            self.symbols,
            self._ts_us[since : self._end],
            self._prices[since : self._end],
            None,
        )


class ModelTargets:
    """Volatility-targeted ranks of one model's forecasts, bar by bar.

    Parameters
    ----------
    forecaster
        Fitted on features of bars.
    config
        Windows of features, rhythm, sizing; the bars are those of ``universe.main``.
    symbols
        What may be held.
    states
        ``regimes.states`` as known, for the turbulent-state scale; ``None`` leaves exposure alone.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        config: TradingConfig,
        symbols: Sequence[str],
        *,
        states: pl.DataFrame | None = None,
    ) -> None:
        self.forecaster = forecaster
        self.config = config
        self._states = states
        names = forecaster.provenance.feature_names
        self.families = families_of(names, config)
        self._wants_returns = _RETURN in names or forecaster.history_sessions > 0
        window = config.portfolio.covariance_window_sessions
        self._window = PriceWindow(config.universe.main, symbols, window + 1)
        self._place = {symbol: number for number, symbol in enumerate(self._window.symbols)}
        self._recent: list[pl.DataFrame] = []
        #: Symbols and features of the newest bar, where no frame is needed.
        self._newest: tuple[list[str], dict[str, NDArray[np.float64]]] | None = None

    def warm_up(self, history: pl.DataFrame) -> None:
        """Make the panel of features, and the recent rows a model looks back on."""
        from btq_assets.features.live import LivePanel

        keep = self.forecaster.history_sessions
        sessions = history["ts"].unique().sort()
        needed = sessions[-max(self._window.n_sessions, keep + 1) :]
        since = sessions[-(keep + 1)] if len(sessions) > keep + 1 else None
        past = history if since is None else history.filter(pl.col("ts") < since)
        self.panel = LivePanel(
            past, self.families, self.config, features=self.forecaster.provenance.feature_names
        )
        self._window.see(history["symbol"].unique().to_list())
        tail = history.filter(pl.col("ts").is_in(needed.implode()))
        for rows in tail.sort("ts", "symbol").partition_by("ts", maintain_order=True):
            if since is not None and rows["ts"][0] >= since:
                self.observe(rows)
            else:
                self._price(rows)

    def observe(self, bars: pl.DataFrame) -> None:
        """Features and prices of one more session."""
        if self.panel.streams and isinstance(self.forecaster, OneDate):
            symbols, columns = self.panel.values(bars)
            if self._wants_returns:
                columns[_RETURN] = self._returns(bars, symbols)
            self._newest = symbols, columns
        else:
            features = self.panel.update(bars)
            if self._wants_returns:
                returns = self._returns(bars, features["symbol"].to_list())
                features = features.with_columns(pl.Series(_RETURN, returns, nan_to_null=True))
            self._recent = [*self._recent, features][-(self.forecaster.history_sessions + 1) :]
        self._price(bars)

    def _returns(self, bars: pl.DataFrame, symbols: Sequence[str]) -> NDArray[np.float64]:
        """Return since the last session of each of these symbols; NaN without a price there."""
        before = self._window.prices(1)
        now = dict(zip(bars["symbol"].to_list(), bars["adj_close"].to_list(), strict=True))
        if not len(before):
            return np.full(len(symbols), np.nan)
        earlier = before[-1, [self._place[symbol] for symbol in symbols]]
        return np.array([now[symbol] for symbol in symbols]) / earlier - 1

    def _price(self, bars: pl.DataFrame) -> None:
        self._window.add(bars["ts"][0], bars["symbol"].to_list(), bars["adj_close"].to_list())

    def scores(self) -> NDArray[np.float64]:
        """Forecast of every symbol that may be held, ``(symbols,)``; NaN of one without a bar."""
        found = np.full(len(self._window.symbols), np.nan)
        if self._newest is not None and isinstance(self.forecaster, OneDate):
            symbols, columns = self._newest
            found[[self._place[symbol] for symbol in symbols]] = self.forecaster.predict_date(
                columns
            )
            return found
        panel = self._recent[-1]
        if len(self._recent) > 1:
            newest = panel["ts"][0]
            panel = pl.concat(self._recent).with_columns(is_decision=pl.col("ts") == newest)
        rows = self.forecaster.predict(panel)
        found[[self._place[symbol] for symbol in rows["symbol"]]] = rows["forecast"].to_numpy()
        return found

    def weights(self, ts: datetime) -> dict[str, float]:
        """Wanted shares of equity; empty while no symbol has the history sizing needs."""
        from btq_assets.portfolio.ranks import decision_weights, turbulence_scale

        scores = self.scores()
        panel = self._window.panel()
        row = np.array([len(panel.ts_us) - 1])
        scale = turbulence_scale(panel, row, self._states, self.config.portfolio.turbulent_scale)
        if not panel.complete_history(
            int(row[0]), self.config.portfolio.covariance_window_sessions
        ).any():
            return {}
        weights = decision_weights(panel, row, {"model": scores[None, :]}, scale, self.config)
        return {
            symbol: float(weight)
            for symbol, weight, known in zip(
                self._window.symbols, weights["model"][0], self._window.seen, strict=True
            )
            if known
        }


def opens_period(before: datetime | None, ts: datetime, every: str) -> bool:
    """Whether the session that ends at `ts` is one that decides, given the session before it."""
    if before is None:
        return False
    pair = pl.Series("ts", [before, ts], dtype=UTC_TIMESTAMP)
    return len(timeline.decision_times(pair, every)) == 1  # type: ignore[arg-type]


def _microseconds(ts: datetime) -> int:
    return nanoseconds(ts) // 1_000
