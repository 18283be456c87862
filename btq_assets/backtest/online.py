"""Bars in, target weights out, one session at a time: what the assets do, without the future.

Belongs here: keeping the bars that came, asking the feature families, a saved model and the sizing
for this session's answer. Does not belong here: formulas, models, weighting rules (their own rooms),
orders and fills (whoever trades on the weights).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from btq_assets import timeline
from btq_assets.backtest.market import BacktestError
from btq_assets.config import TradingConfig
from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.contracts.features import columns_of
from btq_assets.features.custom import all_families
from btq_assets.features.families import Family
from btq_assets.features.incremental import fresh_rows, full_because
from btq_assets.models.forecaster import Forecaster, MissingFeatureError
from btq_assets.models.training_set import session_returns
from btq_assets.portfolio.ranks import rank_targets

_KEY = ["universe", "symbol", "ts"]
_PRICES = ("open", "high", "low", "close", "volume")
_BARS: dict[str, Any] = {
    "universe": pl.String,
    "symbol": pl.String,
    "ts": UTC_TIMESTAMP,
    "session": pl.Date,
    "known_at": UTC_TIMESTAMP,
    **dict.fromkeys(_PRICES, pl.Float64),
    **{f"adj_{name}": pl.Float64 for name in _PRICES if name != "volume"},
}

#: Strategy under which `rank_targets` files the weights of the one model.
_MODEL = "model"


class OnlineDecisions:
    """Target weights of a fitted model, from bars as they come.

    Features are those of the batch: the same families, over the bars seen so far. Weights are
    those of the assets: `portfolio.ranks.rank_targets`.

    Parameters
    ----------
    forecaster
        Fitted.
    config
        Windows of the features, rhythm of decisions, sizing. The bars are taken for those of
        ``universe.main``.
    feature_columns
        Columns on offer; each column of the model must be among them. ``None`` offers all.
    more_features
        Columns that bars alone do not give, as they were known: rows of ``ts`` (the session's
        bar), ``symbol`` where they differ between symbols, and the columns. A session without a
        row has none.
    states
        ``regimes.states``, for the turbulent-state scale; ``None`` leaves exposure alone.

    Raises
    ------
    MissingFeatureError
        The model reads a column that is not offered, or that neither bars nor `more_features` give.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        config: TradingConfig,
        *,
        feature_columns: Sequence[str] | None = None,
        more_features: pl.DataFrame | None = None,
        states: pl.DataFrame | None = None,
    ) -> None:
        self.forecaster = forecaster
        self.config = config
        self._more = more_features
        self._states = states
        self._needed = forecaster.provenance.feature_names
        self._families = _families_of(self._needed, feature_columns, more_features, config)
        self._bars = pl.DataFrame(schema=_BARS)
        self._new: list[dict[str, object]] = []
        self._sessions: list[datetime] = []
        self._features = pl.DataFrame()

    @property
    def n_sessions(self) -> int:
        """Sessions seen."""
        return len(self._sessions)

    def add(self, ts: datetime, bars: Mapping[str, Mapping[str, float | None]]) -> None:
        """Take the bars of one session.

        Parameters
        ----------
        ts
            End of the bars, UTC, later than all before.
        bars
            Symbol → ``open``, ``high``, ``low``, ``close``, ``volume``; prices are adjusted ones.

        Raises
        ------
        BacktestError
            The session is not later than the last one, or a close is not positive.
        """
        if self._sessions and ts <= self._sessions[-1]:
            raise BacktestError(f"bars at {ts} after those at {self._sessions[-1]}; sort the feeds")
        for symbol, bar in bars.items():
            close = bar.get("close")
            if close is None or not 0 < close < float("inf"):
                raise BacktestError(f"close of {symbol} at {ts} is {close}: it must be positive")
            self._new.append(
                {
                    "universe": self.config.universe.main,
                    "symbol": symbol,
                    "ts": ts,
                    "session": ts.date(),
                    "known_at": ts,
                    **{name: bar.get(name) for name in _PRICES},
                    **{f"adj_{name}": bar.get(name) for name in _PRICES if name != "volume"},
                }
            )
        self._sessions.append(ts)

    @property
    def decides(self) -> bool:
        """Whether the last session opens a week or month, with enough before it to size."""
        window = self.config.portfolio.covariance_window_sessions
        if len(self._sessions) <= window:
            return False
        last_two = pl.Series(self._sessions[-2:], dtype=UTC_TIMESTAMP)
        return len(timeline.decision_times(last_two, self.config.models.decision_every)) == 1

    def forecasts(self) -> pl.DataFrame:
        """Forecasts at the last session: ``universe``, ``symbol``, ``ts``, ``forecast``."""
        self._take()
        reach = self.forecaster.history_sessions + 1
        first, last = self._sessions[-reach:][0], self._sessions[-1]
        self._compute(first)
        around = self._bars.filter(pl.col("ts") >= self._sessions[-reach - 1 :][0])
        panel = (
            around.filter(pl.col("ts") >= first)
            .select(*_KEY, is_decision=pl.col("ts") == last)
            .join(session_returns(around), on=_KEY, how="left")
            .join(self._features, on=_KEY, how="left")
            .sort(_KEY)
        )
        if self._more is not None:
            on = [name for name in ("symbol", "ts") if name in self._more.columns]
            names = [name for name in self._needed if name not in panel.columns]
            panel = panel.join(self._more.select(*on, *names), on=on, how="left")
        return self.forecaster.predict(panel)

    def targets(self) -> dict[str, float]:
        """Target weights decided at the last session, by symbol; what is absent is not wanted.

        Ranks say nothing about a symbol that is alone: it is held, up to the limits, while its
        forecast is above zero.
        """
        forecasts = self.forecasts()
        if forecasts["symbol"].n_unique() == 1:
            wanted = pl.when(pl.col("forecast") > 0).then("forecast").otherwise(float("nan"))
            forecasts = forecasts.with_columns(forecast=wanted)
        config = self.config
        window = config.portfolio.covariance_window_sessions
        rows = rank_targets(
            {
                _MODEL: forecasts.with_columns(
                    variant=pl.lit("base"), horizon_sessions=config.models.horizon_sessions
                )
            },
            self._bars.filter(pl.col("ts") >= self._sessions[-window - 1]),
            self._states,
            config,
        ).filter(pl.col("strategy") == _MODEL)
        return dict(rows.select("symbol", "weight").iter_rows())

    def _take(self) -> None:
        """Put what came behind the bars that were there."""
        if self._new:
            new = pl.DataFrame(self._new, schema=_BARS).with_columns(
                pl.col(pl.Float64).fill_nan(None)
            )
            self._bars = pl.concat([self._bars, new])
            self._new = []

    def _compute(self, first: datetime) -> None:
        """Have the features of every session from `first` on; those computed before stay."""
        kept = self._features
        if not kept.is_empty():
            kept = kept.filter(pl.col("ts") >= first)
        since = first
        if not kept.is_empty():
            newest = kept["ts"].max()
            since = next(ts for ts in self._sessions if ts > newest)  # type: ignore[operator]
        frame = self._bars.filter(pl.col("ts") >= since).select(_KEY)
        for family, names in self._families:
            rows = _rows_since({"bars": self._bars}, family, self.config, since)
            on = [name for name in _KEY if name in rows.columns]
            frame = frame.join(rows.select(*on, *names), on=on, how="left")
        self._features = frame if kept.is_empty() else pl.concat([kept, frame])


def _rows_since(
    inputs: Mapping[str, pl.DataFrame], family: Family, config: TradingConfig, since: datetime
) -> pl.DataFrame:
    if full_because(family) or family.memory_sessions is None:
        return family.compute(inputs, config)
    return fresh_rows(inputs, family, config, since)


def _families_of(
    needed: Sequence[str],
    offered: Sequence[str] | None,
    more: pl.DataFrame | None,
    config: TradingConfig,
) -> list[tuple[Family, list[str]]]:
    """Families of bars alone that give what the model reads, and what each gives."""
    if offered is not None and (absent := [name for name in needed if name not in offered]):
        raise MissingFeatureError(
            f"the model reads {absent}, which feature_columns does not name; name them, or load a "
            "model fitted without them"
        )
    left = [name for name in needed if more is None or name not in more.columns]
    found = []
    for family in all_families(config):
        names = [name for name in columns_of(family.contract) if name in left]
        if names and set(family.inputs) == {"bars"} and family.enabled(config):
            found.append((family, names))
            left = [name for name in left if name not in names]
    if left:
        raise MissingFeatureError(
            f"the model reads {left}, which no family computes from bars alone; hand them over as "
            "more_features, as they were known, or load a model fitted without them"
        )
    return found
