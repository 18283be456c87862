"""A saved model as a strategy on Backtrader's Cerebro.

Belongs here: between Backtrader's feeds and orders and the house's decisions. Does not belong here:
features, forecasts and weights, which are those of `online`. Importing this module needs the extra
``backtrader``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from typing import Any

import polars as pl

from btq_assets.backtest import recording
from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.online import OnlineDecisions
from btq_assets.backtest.recording import Trial
from btq_assets.config import TradingConfig
from btq_assets.contracts.base import UTC_TIMESTAMP
from btq_assets.models.saved import load_forecaster


class BacktraderMissingError(ImportError):
    """The extra ``backtrader`` is not installed."""


try:
    import backtrader
except ModuleNotFoundError as error:
    raise BacktraderMissingError(
        "QuantumTransformerStrategy runs on Backtrader, which is not installed: "
        'pip install "btquant[backtrader]" -c constraints.txt. AdvancedBacktester needs no extra.'
    ) from error

_PRICES = ("open", "high", "low", "close", "volume")


class QuantumTransformerStrategy(backtrader.Strategy):
    """Trade a saved model: ridge, LightGBM or Transformer-GNN.

    At the first bar of each week or month (``models.decision_every``) the features of the bars
    seen so far are computed with the definitions of the assets, the model forecasts, and the
    forecasts become weights as in ``portfolio.targets_rank``. Market orders, sales first, are
    filled by Backtrader at the next bar. An order whose symbol has no next bar is cancelled.

    Parameters (of Cerebro's ``addstrategy``)
    -----------------------------------------
    model_path
        Folder that the model's ``save`` wrote, such as an artefact of ``models.registry``.
    feature_columns
        Columns on offer; the model may have left out those without values, and reads no other.
        ``None`` offers all.
    config
        `TradingConfig`: rhythm, sizing, windows; default the house's.
    more_features, states
        As in `online.OnlineDecisions`.
    record, recorder
        Whether the run counts as a trial of this process (`recording.SESSION`), and who else is told.
        Runs of ``optstrategy`` count in the processes Cerebro starts: give them ``maxcpus=1``.

    Attributes
    ----------
    targets
        Per decision and symbol: ``ts``, ``symbol``, ``weight``.
    notes
        ``not counted as a trial: record=False`` where that was asked for.
    n_refused
        Orders Backtrader refused for want of cash.

    Raises
    ------
    BacktestError
        No `model_path`, two feeds of one name, or bars that cannot be used.
    MismatchError, MissingFeatureError
        The folder holds no model, or the model reads a column there is not.

    Notes
    -----
    Feeds are symbols by their names (``adddata(feed, name="AAPL")``), or by their order where they
    have none. Prices must be adjusted for splits and dividends. With the usual settings of a
    comparison (``checksubmit`` off, slippage with ``slip_open``, ``slip_match`` and
    ``slip_out``), fills and equity are those of the engine with ``on_short_cash="reject"``.
    """

    params = (
        ("model_path", None),
        ("feature_columns", None),
        ("config", None),
        ("more_features", None),
        ("states", None),
        ("record", True),
        ("recorder", None),
    )

    def __init__(self) -> None:
        settings: Any = self.p
        if settings.model_path is None:
            raise BacktestError("QuantumTransformerStrategy needs model_path, a saved model")
        self.decisions = OnlineDecisions(
            load_forecaster(settings.model_path),
            settings.config or TradingConfig(),
            feature_columns=settings.feature_columns,
            more_features=settings.more_features,
            states=settings.states,
        )
        self._feeds = _by_symbol(self.datas)
        self._seen = dict.fromkeys(self._feeds, 0)
        self._waiting: list[Any] = []
        self._rows: list[tuple[dt.datetime, str, float]] = []
        self.n_refused = 0
        self._path: list[tuple[dt.datetime, float]] = []
        self._bars = hashlib.sha256()
        self.notes = () if settings.record else (recording.NOT_RECORDED,)

    def trial(self) -> Trial:
        """The run so far as a row of the ledger: model, broker's terms, and a hash of the bars."""
        settings: Any = self.p
        provenance = self.decisions.forecaster.provenance
        path = pl.DataFrame(
            self._path, schema={"ts": UTC_TIMESTAMP, "equity": pl.Float64}, orient="row"
        )
        terms = self.broker.getcommissioninfo(next(iter(self._feeds.values()))).p
        return Trial(
            strategy=type(self).__name__,
            returns=path.select("ts", net_return=pl.col("equity").pct_change()).drop_nulls(),
            config={
                "model": provenance.model,
                "features": provenance.feature_names,
                "model_code": provenance.code_version,
                "model_seed": provenance.seed,
                "model_path": str(settings.model_path),
                "initial_cash": self.broker.startingcash,
                "commission": terms.commission,
                "slippage": {n: v for n, v in vars(self.broker.p).items() if n.startswith("slip")},
            },
            data_hash=self._bars.hexdigest()[:20],
        )

    def stop(self) -> None:
        """Count the finished run as a trial."""
        settings: Any = self.p
        if len(self._path) < 3 or not (settings.record or settings.recorder):
            return
        trial = self.trial()
        if settings.record:
            recording.SESSION.record(trial)
        if settings.recorder is not None:
            settings.recorder(trial)

    @property
    def targets(self) -> pl.DataFrame:
        """Weights decided so far."""
        schema: dict[str, Any] = {"ts": UTC_TIMESTAMP, "symbol": pl.String, "weight": pl.Float64}
        return pl.DataFrame(self._rows, schema=schema, orient="row")

    def prenext(self) -> None:
        """Before every feed has begun; the others are traded."""
        self.next()

    def next(self) -> None:
        """Take the session's bars; on a deciding one, order."""
        fresh = {s: feed for s, feed in self._feeds.items() if len(feed) > self._seen[s]}
        self._seen |= {symbol: len(feed) for symbol, feed in fresh.items()}
        # What this session did not fill had no bar: the engine drops it, and so does this.
        for order in self._waiting:
            if order.alive():
                self.cancel(order)
        self._waiting = []
        bars = {s: _bar(feed) for s, feed in fresh.items() if math.isfinite(feed.close[0])}
        if not bars:
            return
        now = max(fresh[s].datetime.datetime(0) for s in bars).replace(tzinfo=dt.UTC)
        self.decisions.add(now, bars)
        self._path.append((now, self.broker.getvalue()))
        self._bars.update(repr((now, sorted(bars.items()))).encode())
        if self.decisions.decides:
            self._rebalance(now, self.decisions.targets())

    def notify_order(self, order: Any) -> None:
        """Count what Backtrader refuses."""
        self.n_refused += order.status == backtrader.Order.Margin

    def _rebalance(self, now: dt.datetime, weights: dict[str, float]) -> None:
        self._rows.extend((now, symbol, weight) for symbol, weight in weights.items())
        equity = self.broker.getvalue()
        sizes = {
            symbol: weights.get(symbol, 0.0) * equity / feed.close[0] - self.getposition(feed).size
            for symbol, feed in self._feeds.items()
            if self._seen[symbol]
        }
        for symbol in sorted(sizes, key=lambda symbol: (sizes[symbol] > 0, symbol)):
            size, feed = sizes[symbol], self._feeds[symbol]
            if size < 0:
                self._waiting.append(self.sell(data=feed, size=-size))
            elif size > 0:
                self._waiting.append(self.buy(data=feed, size=size))


def _by_symbol(feeds: Any) -> dict[str, Any]:
    """Feeds by name, ascending; unnamed ones by their place."""
    names = [feed._name or f"asset_{place:03d}" for place, feed in enumerate(feeds)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise BacktestError(f"feeds repeat the name(s) {repeated}; name each once")
    return dict(sorted(zip(names, feeds, strict=True)))


def _bar(feed: Any) -> dict[str, float | None]:
    values = {name: float(getattr(feed, name)[0]) for name in _PRICES}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
