"""`QuantumTransformerStrategy` on Cerebro against the engine, fill by fill and to the cent.

The engine's side uses nothing of the strategy: features by each family's batch over all bars at
once, forecasts of all decisions in one call, weights by `rank_targets`, books by `simulate`. The
conventions of costs are those of ``test_backtrader.py``.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest

from btq_assets.backtest import BacktestError, Market, OnlineDecisions
from btq_assets.config import TradingConfig
from btq_assets.contracts.features import columns_of
from btq_assets.engine.costs import CostModel
from btq_assets.engine.simulation import simulate
from btq_assets.features.families import FAMILY
from btq_assets.models.folds import TrainingSet, panel_between
from btq_assets.models.forecaster import MismatchError, MissingFeatureError, Provenance
from btq_assets.models.gradient_boosting import LightGBMForecaster, LightGBMSpec
from btq_assets.models.ridge import RidgeForecaster
from btq_assets.models.trainer import train_transformer_model
from btq_assets.models.training_set import relative_labels, session_returns
from btq_assets.portfolio.ranks import rank_targets
from btq_assets.timeline import decision_times

backtrader = pytest.importorskip("backtrader")

COMMISSION_BPS, HALF_SPREAD_BPS, CASH = 5.0, 8.0, 1_000_000.0
UNIVERSE = "us20"
N_FITTED, N_SESSIONS = 360, 430
KEY = ["universe", "symbol", "ts"]

#: One or more of each way a family is computed: expressions, recursive ones, across symbols.
COLUMNS = (
    "return_1d", "return_21d", "rsi_14", "macd_histogram_to_price", "distance_high_252",
    "volatility_21_annual", "garman_klass_21_annual", "amihud_21", "kyle_lambda_63",
    "oscillator_energy", "entanglement_contribution", "universe_beta", "momentum_rank",
)  # fmt: skip
FAMILIES = ("technical", "volatility", "microstructure", "quantum", "cross_asset")


@pytest.fixture(scope="module")
def bars(make_bars_for) -> pl.DataFrame:
    return make_bars_for(6, N_SESSIONS, seed=11, universe=UNIVERSE)


@pytest.fixture(scope="module")
def make_bars_for(pytestconfig):
    plugins = pytestconfig.pluginmanager.get_plugins()
    shared = (p for p in plugins if str(getattr(p, "__file__", "")).endswith("tests/conftest.py"))
    return next(shared).make_bars


@pytest.fixture(scope="module")
def panel(bars) -> pl.DataFrame:
    """Rows of a training set, features by the batch of each family."""
    frame = bars.select(KEY).with_columns(
        is_decision=pl.col("ts").is_in(decision_times(bars["ts"], "week").implode())
    )
    frame = frame.join(session_returns(bars), on=KEY, how="left")
    frame = frame.join(relative_labels(bars, 5), on=KEY, how="left")
    for name in FAMILIES:
        rows = FAMILY[name].compute({"bars": bars}, TradingConfig())
        wanted = [c for c in columns_of(FAMILY[name].contract) if c in COLUMNS]
        frame = frame.join(rows.select(*KEY, *wanted), on=KEY, how="left")
    return frame.sort(KEY)


@pytest.fixture(scope="module")
def models(panel, tmp_path_factory) -> dict:
    """Each family of models, fitted on the first sessions and saved; loaded ones are compared."""
    sessions = panel["ts"].unique().sort()
    known = panel.filter(pl.col("ts") < sessions[N_FITTED])
    data = TrainingSet(
        panel=known,
        asset_features=COLUMNS,
        market_features=(),
        train=(sessions[252], sessions[300 - 6]),
        validation=(sessions[300], sessions[N_FITTED - 6]),
        cutoff=sessions[N_FITTED],
    )
    frame = known.filter(pl.col("is_decision") & pl.col("label").is_not_null())
    fitted = {
        "ridge": RidgeForecaster().fit(data),
        "lightgbm": LightGBMForecaster(LightGBMSpec(min_child_samples=10)).fit(data),
        "transformer_gnn": train_transformer_model(
            TradingConfig(transformer_dim=16),
            frame.filter(pl.col("ts").is_between(sessions[252], sessions[300 - 6])),
            frame.filter(pl.col("ts").is_between(sessions[300], sessions[N_FITTED - 6])),
            COLUMNS,
            epochs=1,
        ),
    }
    folder = tmp_path_factory.mktemp("models")
    for name, model in fitted.items():
        model.save(folder / f"{name}.pt")
    return {name: (model, folder / f"{name}.pt") for name, model in fitted.items()}


def feeds(bars: pl.DataFrame) -> dict[str, pd.DataFrame]:
    """Frames of Backtrader's feeds, in no particular order of symbols."""
    return {
        symbol: pd.DataFrame(
            {name: rows[name].to_numpy() for name in ("open", "high", "low", "close", "volume")},
            index=pd.DatetimeIndex(rows["ts"].dt.replace_time_zone(None).to_numpy()),
        )
        for (symbol,), rows in sorted(bars.group_by("symbol"), reverse=True)
    }


def cerebro_for(bars: pl.DataFrame, **settings):
    from btq_assets import QuantumTransformerStrategy

    class Recorded(QuantumTransformerStrategy):
        """Writes down equity and fills; decides nothing."""

        def __init__(self):
            super().__init__()
            self.values, self.fills = [], []

        def next(self):
            super().next()
            self.values.append((self.datetime.datetime(0), self.broker.getvalue()))

        def notify_order(self, order):
            super().notify_order(order)
            if order.status == order.Completed:
                at = backtrader.num2date(order.executed.dt)
                done = order.executed
                self.fills.append((at, order.data._name, done.size, done.price, done.comm))

    cerebro = backtrader.Cerebro(stdstats=False)
    cerebro.addstrategy(Recorded, **settings)
    for symbol, frame in feeds(bars).items():
        cerebro.adddata(backtrader.feeds.PandasData(dataname=frame, openinterest=None), name=symbol)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=COMMISSION_BPS / 1e4)
    cerebro.broker.set_checksubmit(False)
    cerebro.broker.set_slippage_perc(
        HALF_SPREAD_BPS / 1e4, slip_open=True, slip_match=True, slip_out=True
    )
    return cerebro


def engine_side(bars: pl.DataFrame, panel: pl.DataFrame, model):
    """Market, weights and books from the whole tables at once."""
    config = TradingConfig()
    sessions = panel["ts"].unique().sort()
    first = sessions[config.portfolio.covariance_window_sessions]
    forecasts = model.predict(panel_between(panel, first, sessions[-1], model.history_sessions))
    targets = rank_targets(
        {"m": forecasts.with_columns(variant=pl.lit("base"), horizon_sessions=5)},
        bars,
        None,
        config,
    ).filter(pl.col("strategy") == "m")
    market = Market.from_bars(bars, UNIVERSE)
    done = simulate(
        market.fill_prices,
        market.mark_prices,
        market.weights(targets, "m"),
        CostModel(commission_bps=COMMISSION_BPS, half_spread_bps=HALF_SPREAD_BPS),
        initial_cash=CASH,
        on_short_cash="reject",
    )
    return market, targets, done


@pytest.fixture(scope="module")
def traded(bars, models) -> dict:
    """What the strategy did with each model over all bars."""
    found = {}
    for name, (_, folder) in models.items():
        (found[name],) = cerebro_for(bars, model_path=folder, feature_columns=[*COLUMNS]).run()
    return found


@pytest.mark.parametrize("name", ["ridge", "lightgbm", "transformer_gnn"])
def test_trades_are_the_engines(name, bars, panel, models, traded):
    market, targets, done = engine_side(bars, panel, models[name][0])
    strategy = traded[name]

    both = strategy.targets.join(targets, on=["symbol", "ts"], how="full", suffix="_engine")
    assert both.null_count().sum_horizontal().item() == 0, "decided on other dates or symbols"
    assert both["ts"].n_unique() >= 34
    assert (both["weight"] - both["weight_engine"]).abs().max() < 1e-9

    assert len(strategy.fills) == done.fills.size > 100
    found = {(at, symbol): rest for at, symbol, *rest in strategy.fills}
    for fill in done.fills:
        at = market.ts[int(fill["bar"])].replace(tzinfo=None)
        size, price, commission = found[at, market.symbols[fill["asset"]]]
        assert size == pytest.approx(fill["shares"], rel=1e-7, abs=1e-7)
        moved = fill["price"] * (1 + np.sign(size) * HALF_SPREAD_BPS / 1e4)
        assert price == pytest.approx(moved, rel=1e-9)
        assert commission == pytest.approx(fill["commission"], abs=0.005)

    assert strategy.n_refused == done.n_refused_cash
    values = np.array([value for _, value in strategy.values])
    assert np.abs(values - done.equity).max() < 0.01
    assert np.abs(done.equity - CASH).max() > 1_000


def test_another_model_would_show(bars, panel, models, traded):
    """Not hollow: the comparison above fails for a model that was not loaded."""
    _, targets, done = engine_side(bars, panel, models["lightgbm"][0])
    strategy = traded["ridge"]
    assert np.abs(np.array([v for _, v in strategy.values]) - done.equity).max() > 100
    both = strategy.targets.join(targets, on=["symbol", "ts"])
    assert (both["weight"] - both["weight_right"]).abs().max() > 0.01


def test_the_missions_example_runs(bars, models):
    """As shown to users, with only the name of the import changed."""
    from btq_assets import QuantumTransformerStrategy

    feature_columns = list(COLUMNS)
    model_path = models["transformer_gnn"][1]
    cerebro = backtrader.Cerebro()
    for symbol, frame in feeds(bars.filter(pl.col("ts") < bars["ts"].unique().sort()[300])).items():
        cerebro.adddata(backtrader.feeds.PandasData(dataname=frame), name=symbol)

    cerebro.addstrategy(
        QuantumTransformerStrategy, model_path=str(model_path), feature_columns=feature_columns
    )
    results = cerebro.run()

    assert results[0].targets["ts"].n_unique() >= 9
    assert cerebro.broker.getvalue() != 10_000.0


def test_a_finished_cerebro_is_a_trial_unless_it_is_said_not_to_be(bars, models, monkeypatch):
    """Run twice it is one trial; other costs are another; left out it says so."""
    from btq_assets import QuantumTransformerStrategy
    from btq_assets.backtest import recording

    session = recording.MemoryLedger()
    monkeypatch.setattr(recording, "SESSION", session)
    early = bars.filter(pl.col("ts") < bars["ts"].unique().sort()[300])

    def run(commission=0.0, **more):
        cerebro = backtrader.Cerebro()
        cerebro.broker.setcommission(commission=commission)
        for symbol, frame in feeds(early).items():
            cerebro.adddata(backtrader.feeds.PandasData(dataname=frame), name=symbol)
        cerebro.addstrategy(
            QuantumTransformerStrategy, model_path=str(models["ridge"][1]),
            feature_columns=list(COLUMNS), **more,
        )  # fmt: skip
        return cerebro.run()[0], cerebro.broker.getvalue()

    told = []
    (strategy, final), again = run(recorder=told.append), run()
    assert session.trials().height == len(told) == 1
    assert strategy.notes == ()
    returns = session.returns()["net_return"]
    assert 10_000 * (1 + returns).product() == pytest.approx(final, rel=1e-9)
    assert again[1] == final
    assert '"slip_perc"' in session.trials()["config_json"][0]
    run(commission=0.001)
    assert session.trials().height == 2
    left_out, _ = run(commission=0.002, record=False)
    assert session.trials().height == 2
    assert left_out.notes == (recording.NOT_RECORDED,)


class Sure:
    """A model that forecasts what it was told to, one number a decision."""

    history_sessions = 0
    provenance = Provenance("sure", ("return_1d",), "test", 0, {})

    def __init__(self, answers):
        self.answers = iter(answers)

    def predict(self, panel):
        return panel.select(*KEY, forecast=pl.lit(next(self.answers)))


def test_a_symbol_alone_is_held_while_its_forecast_is_positive(bars):
    """One symbol has no ranks: its whole weight or none, here cut to the position limit."""
    alone = bars.filter(pl.col("symbol") == "S00")
    decisions = OnlineDecisions(Sure([0.02, -0.01, 0.0]), TradingConfig())
    weights = []
    for row in alone.iter_rows(named=True):
        decisions.add(row["ts"], {"S00": row})
        if decisions.decides and len(weights) < 3:
            weights.append(decisions.targets()["S00"])
    assert weights == [0.25, 0.0, 0.0]


def test_bars_out_of_order_and_impossible_prices_are_refused(bars):
    decisions = OnlineDecisions(Sure([]), TradingConfig())
    row = bars.row(0, named=True)
    decisions.add(row["ts"], {"S00": row})
    with pytest.raises(BacktestError, match="sort the feeds"):
        decisions.add(row["ts"], {"S00": row})
    with pytest.raises(BacktestError, match=r"close of S00 .* is 0"):
        decisions.add(row["ts"] + dt.timedelta(days=1), {"S00": row | {"close": 0}})


def test_a_symbol_that_stops_is_left(bars, panel, models):
    """Its feed ends: the order that no bar fills is cancelled, and it is not wanted again."""
    end = bars["ts"].unique().sort()[340]
    short = bars.filter((pl.col("symbol") != "S03") | (pl.col("ts") <= end))
    (strategy,) = cerebro_for(short, model_path=models["ridge"][1]).run()
    after = strategy.targets.filter((pl.col("symbol") == "S03") & (pl.col("ts") > end))
    assert after["weight"].abs().sum() == 0
    assert max(at for at, symbol, *_ in strategy.fills if symbol == "S03") <= end.replace(
        tzinfo=None
    )
    assert strategy.values[-1][0] == bars["ts"].max().replace(tzinfo=None)


def test_more_features_reach_the_model_as_they_were_known(bars, panel, models):
    """A column bars do not give: refused without, used with; weights equal those of the batch."""
    stamps = bars["ts"].unique().sort()
    fear = pl.DataFrame({"ts": stamps, "fear": np.sin(np.arange(len(stamps)) / 9.0)})
    wider = panel.join(fear, on="ts")
    data = TrainingSet(
        panel=wider.filter(pl.col("ts") < stamps[N_FITTED]),
        asset_features=("universe_beta", "return_21d"),
        market_features=("fear",),
        train=(stamps[252], stamps[300 - 6]),
        validation=(stamps[300], stamps[N_FITTED - 6]),
        cutoff=stamps[N_FITTED],
    )
    model = RidgeForecaster().fit(data)
    folder = models["ridge"][1].with_name("macro.pt")
    model.save(folder)
    with pytest.raises(MissingFeatureError, match=r"\['fear'\].*more_features"):
        cerebro_for(bars, model_path=folder).run()
    (strategy,) = cerebro_for(bars, model_path=folder, more_features=fear).run()
    _, targets, _ = engine_side(bars, wider, model)
    both = strategy.targets.join(targets, on=["symbol", "ts"])
    assert both.height == targets.height
    assert (both["weight"] - both["weight_right"]).abs().max() < 1e-9


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({}, BacktestError, "needs model_path"),
        ({"model_path": "nowhere"}, MismatchError, "nowhere holds no model.json"),
        ({"feature_columns": ["rsi_14"]}, MissingFeatureError, "'return_1d'.*feature_columns"),
    ],
)
def test_what_cannot_be_used_is_refused(settings, error, says, bars, models):
    if "feature_columns" in settings:
        settings = settings | {"model_path": models["ridge"][1]}
    with pytest.raises(error, match=says):
        cerebro_for(bars, **settings).run()


def test_feeds_of_one_name_are_refused(bars, models):
    cerebro = cerebro_for(bars, model_path=models["ridge"][1])
    frame = feeds(bars)["S00"]
    cerebro.adddata(backtrader.feeds.PandasData(dataname=frame), name="S00")
    with pytest.raises(BacktestError, match=r"repeat the name.*S00"):
        cerebro.run()


def test_without_backtrader_the_error_says_what_to_install():
    """In a process of its own, where the package cannot be found; other names still load."""
    code = (
        "import sys; sys.modules['backtrader'] = None\n"
        "from btq_assets import AdvancedBacktester\n"
        "try:\n    from btq_assets import QuantumTransformerStrategy\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("BacktraderMissingError")
    assert "btquant[backtrader]" in done.stdout


def test_a_decision_reads_nothing_later(bars, models, traded):
    """Cutting the feeds anywhere moves no decision made before."""
    cut, whole = bars["ts"].unique().sort()[330], traded["ridge"]
    (short,) = cerebro_for(bars.filter(pl.col("ts") <= cut), model_path=models["ridge"][1]).run()
    assert short.targets.height > 60
    assert whole.targets.filter(pl.col("ts") <= cut).equals(short.targets)
