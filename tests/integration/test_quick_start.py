"""The flow of the mission's document: config → features → train → backtest → risk.

Only the import name differs from the document. Prices are real: two of the sample's OHLCV series.
"""

from __future__ import annotations

import gzip
import io
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from btq_assets import (
    AdvancedBacktester,
    ModelEnsemble,
    ModelTrainer,
    QuantumFeatureEngine,
    RiskAnalyzer,
    TradingConfig,
    calculate_sharpe,
)

FEATURES = ["return_5d", "return_21d", "return_63d", "rsi_14"]


@pytest.fixture(scope="module")
def ohlcv() -> pd.DataFrame:
    raw = gzip.decompress((files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes())
    frame = pd.read_csv(io.BytesIO(raw), parse_dates=["Date"])
    frame = frame[frame["Ticker"].isin(["AAPL", "IBM", "MSFT"]) & (frame["Date"] >= "2009-01-01")]
    names = {"Ticker": "symbol", "Date": "ts", "Adj Close": "adj_close"}
    frame = frame.rename(
        columns=names | {c: c.lower() for c in ("Open", "High", "Low", "Close", "Volume")}
    )
    frame["ts"] = (frame["ts"] + pd.Timedelta(hours=21)).dt.tz_localize("UTC")
    return frame.sort_values(["symbol", "ts"]).reset_index(drop=True)


def test_the_quick_start_of_the_document_runs(ohlcv):
    config = TradingConfig(
        init_cash=100_000, use_gpu=False, transformer_dim=16, num_heads=2, num_layers=1,
        use_sentiment=False, use_regime_detection=True,
    )  # fmt: skip
    features = QuantumFeatureEngine(config).engineer_features(ohlcv)
    assert isinstance(features, pd.DataFrame)
    assert len(features) == len(ohlcv)
    columns = [column for column in FEATURES if column in features]
    assert len(columns) >= 3, sorted(features.columns)

    cut = pd.Timestamp("2011-07-01", tz="UTC")
    end = pd.Timestamp("2012-03-01", tz="UTC")
    train = features[features["ts"] < cut]
    validation = features[(features["ts"] >= cut) & (features["ts"] < end)]
    test = features[features["ts"] >= end]
    trainer = ModelTrainer(config)
    model = trainer.train_transformer_model(train, validation, columns, epochs=1)
    agent = trainer.train_rl_agent(train, columns, total_timesteps=256)
    assert agent is not None
    forecasts = ModelEnsemble([model], weights=[1.0]).predict(test)
    assert forecasts.height
    assert np.isfinite(forecasts["forecast"].drop_nulls().to_numpy()).all()

    def equal_weights(history):
        return dict.fromkeys(("AAPL", "IBM", "MSFT"), 1 / 3)

    backtester = AdvancedBacktester(equal_weights, test, initial_cash=100_000, commission=0.001)
    results = backtester.run_scenarios(["bull", "bear", "high_volatility"])
    report = backtester.generate_report(results)
    assert "bull" in report
    returns = backtester.run().equity["net_return"].drop_nulls()
    assert np.isfinite(calculate_sharpe(returns.to_numpy()))

    risk = RiskAnalyzer(returns)
    assert risk.calculate_var(0.05) == risk.calculate_var(0.95) > 0
    assert risk.calculate_cvar(0.95) >= risk.calculate_var(0.95)
    paths = risk.monte_carlo_simulation(n_simulations=200, time_horizon=20)
    assert paths is not None
