"""The mission's code for each public name, with only the import changed, on small seeded data.

The flow of config, features, training (the RL agent too), ensemble, backtest and risk on real prices is
`test_quick_start.py`; the Optuna search is
`tests/unit/models/search/test_search.py::test_the_optuna_example_runs`; `QuantumTransformerStrategy` on Cerebro is
`backtest/test_backtrader_strategy.py::test_the_missions_example_runs`.
"""

from __future__ import annotations

import live_cases as cases
import numpy as np
import pandas as pd
import polars as pl
import pytest


@pytest.fixture(scope="module")
def bars() -> pl.DataFrame:
    return cases.market(4, 460)


@pytest.fixture(scope="module")
def ohlcv(bars) -> pd.DataFrame:
    """Prices as a notebook has them: pandas, one row a symbol and day."""
    wanted = ("symbol", "ts", "open", "high", "low", "close", "volume")
    return bars.select(wanted).to_pandas()


@pytest.fixture(scope="module")
def returns(ohlcv) -> pd.Series:
    """Daily returns of 1/N, dated."""
    closes = ohlcv.pivot(index="ts", columns="symbol", values="close")
    return closes.pct_change().mean(axis=1).dropna()


def test_trading_config():
    from btq_assets import TradingConfig

    config = TradingConfig(
        init_cash=100000,
        use_gpu=True,
        transformer_dim=256,
        use_sentiment=True,
        use_regime_detection=True,
    )
    assert config.trading.initial_cash == 100_000
    assert config.models.transformer.model_dim == 256
    assert config.regimes.enable


def test_trading_config_from_yaml(tmp_path):
    from btq_assets import TradingConfig

    path = tmp_path / "config.yaml"
    path.write_text(
        """
trading:
  initial_cash: 100000
  max_position_size: 0.25
  max_drawdown_threshold: 0.15
models:
  transformer:
    model_dim: 256
    num_heads: 8
    num_layers: 6
  rl:
    algorithm: PPO
    learning_rate: 0.0003
features:
  quantum_features:
    enable: true
    harmonic_oscillator: true
  alternative_data:
    sentiment_analysis: true
    macro_indicators: true
"""
    )
    config = TradingConfig.load(path, {})
    assert config.trading.max_position_size == 0.25
    assert config.trading.max_drawdown_threshold == 0.15
    assert (config.models.transformer.num_heads, config.models.transformer.num_layers) == (8, 6)
    assert config.models.rl.learning_rate == 0.0003


def test_quantum_feature_engine_and_a_subclass(ohlcv):
    from btq_assets import QuantumFeatureEngine, TradingConfig

    class CustomFeatureEngine(QuantumFeatureEngine):
        def engineer_features(self, data):
            features = super().engineer_features(data)
            features["custom_momentum"] = features["close"] / features["open"] - 1
            return features

    config = TradingConfig()
    features = QuantumFeatureEngine(config).engineer_features(ohlcv)
    mine = CustomFeatureEngine(config).engineer_features(ohlcv)
    assert isinstance(features, pd.DataFrame)
    assert set(mine.columns) - set(features.columns) == {"custom_momentum"}
    assert len(mine) == len(features) == len(ohlcv)
    polars = QuantumFeatureEngine(config).engineer_features(pl.from_pandas(ohlcv))
    assert isinstance(polars, pl.DataFrame)


def test_advanced_trading_env_with_a_reward_of_ones_own(bars):
    from btq_assets import AdvancedTradingEnv
    from btq_assets.agents.market import TradingMarket

    class CustomTradingEnv(AdvancedTradingEnv):
        def _calculate_reward(self, return_rate, transaction_cost):
            return return_rate - 2.0 * transaction_cost

    prices = (
        bars.pivot(on="symbol", index="ts", values="adj_close").sort("ts").drop("ts").to_numpy()
    )
    rows = np.arange(60, 400, 5)
    market = TradingMarket(
        tuple(sorted(bars["symbol"].unique())), prices, rows,
        np.random.default_rng(0).normal(size=(rows.size, prices.shape[1], 2)),
        np.full(len(prices), 1e-4), 1e-4, ("one", "two"),
    )  # fmt: skip
    env = CustomTradingEnv(market)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    done = False
    while not done:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        done = terminated or truncated
        assert np.isfinite(reward)
    assert info["transaction_cost"] >= 0


def test_advanced_backtester_scenarios_and_report(ohlcv):
    from btq_assets import AdvancedBacktester

    def strategy(history):
        last = history.groupby("symbol")["close"].last()
        return pd.Series(1 / len(last), index=last.index)

    backtester = AdvancedBacktester(
        strategy=strategy, data=ohlcv, initial_cash=100000, commission=0.001
    )
    results = backtester.run_scenarios(
        ["bull_market", "bear_market", "sideways_market", "high_volatility", "low_volatility"]
    )
    report = backtester.generate_report(results)
    assert all(f"| {name} |" in report for name in results)
    assert len(results) == 5


def test_walk_forward_optimizer(ohlcv):
    from sklearn.linear_model import Ridge

    from btq_assets import WalkForwardOptimizer

    data = ohlcv.assign(
        momentum=ohlcv.groupby("symbol")["close"].pct_change(20),
        reversal=-ohlcv.groupby("symbol")["close"].pct_change(5),
    )
    optimizer = WalkForwardOptimizer(
        data=data, train_period_months=12, test_period_months=3, step_months=3
    )
    results = optimizer.optimize(model_class=Ridge)
    assert results.folds.height >= 2
    assert np.isfinite(results.path.metrics["sharpe"])
    house = optimizer.optimize(model_class="ridge")
    assert house.forecasts.height == results.forecasts.height


def test_metrics(returns, ohlcv):
    from btq_assets import (
        calculate_calmar,
        calculate_expectancy,
        calculate_information_ratio,
        calculate_mae,
        calculate_profit_factor,
        calculate_sharpe,
        calculate_sortino,
    )

    benchmark = ohlcv[ohlcv["symbol"] == "S00"].set_index("ts")["close"].pct_change().dropna()
    metrics = {
        "sharpe": calculate_sharpe(returns),
        "sortino": calculate_sortino(returns),
        "calmar": calculate_calmar(returns),
        "information_ratio": calculate_information_ratio(returns, benchmark),
        "max_adverse_excursion": calculate_mae(ohlcv["close"].head(50)),
        "profit_factor": calculate_profit_factor(returns),
        "expectancy": calculate_expectancy(returns),
    }
    assert all(np.isfinite(value) for value in metrics.values()), metrics
    assert metrics["sharpe"] == pytest.approx(returns.mean() / returns.std() * 252**0.5)
    assert metrics["expectancy"] == pytest.approx(returns.mean())


def test_risk_analyzer(returns):
    from btq_assets import RiskAnalyzer

    risk_analyzer = RiskAnalyzer(returns)
    var_95 = risk_analyzer.calculate_var(confidence=0.95)
    cvar_95 = risk_analyzer.calculate_cvar(confidence=0.95)
    assert cvar_95 > var_95 > 0
    stress_results = risk_analyzer.stress_test(["2008_crash", "covid_2020", "dot_com_2000"])
    assert list(stress_results) == ["2008_crash", "covid_2020", "dot_com_2000"]
    simulation_results = risk_analyzer.monte_carlo_simulation(n_simulations=10000, time_horizon=252)
    assert simulation_results.terminal_returns.shape == (10_000,)


def test_model_trainer_and_ensemble(ohlcv):
    from btq_assets import ModelEnsemble, ModelTrainer, QuantumFeatureEngine, TradingConfig

    config = TradingConfig(transformer_dim=8, num_heads=2, num_layers=1, use_gpu=False)
    features = QuantumFeatureEngine(config).engineer_features(ohlcv)
    feature_columns = ["return_5d", "return_21d", "rsi_14"]
    stamps = sorted(features["ts"].unique())
    train_data = features[features["ts"] < stamps[300]]
    val_data = features[(features["ts"] >= stamps[320]) & (features["ts"] < stamps[400])]
    trainer = ModelTrainer(config)
    models = [
        trainer.train_transformer_model(
            train_data, val_data, feature_columns=feature_columns, epochs=1
        )
        for _ in range(2)
    ]
    ensemble = ModelEnsemble(models, weights=[0.6, 0.4])
    test_data = features[features["ts"] >= stamps[400]]
    predictions = ensemble.predict(test_data)
    assert predictions["forecast"].is_finite().all()
    assert predictions.height == len(test_data)


@pytest.mark.slow
def test_distributed_training_with_ray(ohlcv):
    """`ray.init()` on this machine: networks of two sizes, trained by tasks, predict here."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from btq_assets import ModelEnsemble, ModelTrainer, QuantumFeatureEngine, TradingConfig

    ray.init()

    @ray.remote
    def train_model(config, train_data, val_data, feature_columns):
        trainer = ModelTrainer(config)
        return trainer.train_transformer_model(
            train_data, val_data, feature_columns=feature_columns, epochs=1
        )

    try:
        configs = [
            TradingConfig(transformer_dim=dim, num_heads=2, num_layers=1, use_gpu=False)
            for dim in (8, 16)
        ]
        features = QuantumFeatureEngine(configs[0]).engineer_features(ohlcv)
        feature_columns = ["return_5d", "return_21d", "rsi_14"]
        stamps = sorted(features["ts"].unique())
        train_data = features[features["ts"] < stamps[300]]
        val_data = features[(features["ts"] >= stamps[320]) & (features["ts"] < stamps[400])]
        futures = [
            train_model.remote(config, train_data, val_data, feature_columns) for config in configs
        ]
        models = ray.get(futures)
    finally:
        ray.shutdown()
    test_data = features[features["ts"] >= stamps[400]]
    for config, model in zip(configs, models, strict=True):
        local = ModelTrainer(config).train_transformer_model(
            train_data, val_data, feature_columns=feature_columns, epochs=1
        )
        # Seeded: a task of Ray trains what this process does, to the last bit.
        found, expected = (ModelEnsemble([one]).predict(test_data) for one in (model, local))
        assert found.equals(expected)


def test_live_trading_engine_on_paper(bars, tmp_path):
    from btq_assets import LiveTradingEngine, TradingConfig
    from btq_assets.execution.live import ReplayFeed

    model_path = cases.fit_model(bars, tmp_path / "model", "ridge")
    config = cases.live_config()
    assert isinstance(config, TradingConfig)
    start = bars["ts"].unique().sort()[-15]
    engine = LiveTradingEngine(
        config,
        paper_trading=True,
        model_path=model_path,
        feed=ReplayFeed(bars, start),
        folder=tmp_path / "live",
    )
    summary = engine.start()
    assert summary.equity > 0
