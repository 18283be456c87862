"""The backtest asset as the graph calls it, without a warehouse."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.backtest.assets import attribution, strategies
from btq_assets.backtest.market import BacktestError
from btq_assets.config import TradingConfig
from btq_assets.contracts import backtest as contracts
from btq_assets.contracts import evidence, portfolio
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.timeline import decision_times
from btq_assets.warehouse import Step

NAMES = {
    "rank": ["ridge", "lightgbm"],
    "kelly": ["kelly_ridge"],
    "hrp": ["hrp"],
    "ppo": ["ppo"],
    "baselines": ["one_over_n", "buy_and_hold"],
    "regime": ["one_over_n_regime"],
}
ALL_NAMES = [name for names in NAMES.values() for name in names]


@pytest.fixture
def settings() -> TradingConfig:
    return TradingConfig(universe={"main": "test"}, backtest={"bootstrap_samples": 100})


@pytest.fixture
def inputs(close_only_bars) -> dict[str, pl.DataFrame]:
    symbols = sorted(close_only_bars["symbol"].unique())
    decisions = decision_times(close_only_bars["ts"], "week")
    tables = {"bars": close_only_bars}
    weights = iter([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.2, 0.2, 0.0, 0.0], [0.3] * 3 + [0],
                    [0.5, 0, 0, 0.5], [0.25] * 4, [0.25] * 4, [0.15] * 4])  # fmt: skip
    for table, names in NAMES.items():
        rows = [
            (name, "test", symbol, ts, float(weight))
            for name in names
            for row in [next(weights)]
            for ts in (decisions[:1] if name == "buy_and_hold" else decisions)
            for symbol, weight in zip(symbols, row, strict=True)
        ]
        tables[table] = pl.DataFrame(rows, schema=portfolio.TARGETS_RANK.schema, orient="row")
    sessions = close_only_bars["ts"].unique().sort()
    words = {
        "market_states": [("bull", "bear", "sideways")[k // 100 % 3] for k in range(len(sessions))],
        "volatility_states": ["high" if k % 7 < 2 else "normal" for k in range(len(sessions))],
    }
    for name, state in words.items():
        tables[name] = pl.DataFrame({"scope": "test", "ts": sessions, "state": state})
    return tables


def step(config: TradingConfig) -> Step:
    return Step(
        config=config,
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=print,
        code_version="t",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,
    )


def test_asset_writes_every_table_every_trial_and_passes_its_checks(settings, inputs):
    output = strategies.compute(step(settings), **inputs)
    frames = {}
    for contract in strategies.outputs:
        frames[contract.table] = cast_to_contract(output.frames[contract.table], contract)
        assert violations(frames[contract.table], contract).is_empty()
    runs = frames[contracts.RUNS.table]
    assert sorted(runs["strategy"]) == sorted(ALL_NAMES)
    assert set(runs.filter(role="baseline")["strategy"]) == set(NAMES["baselines"])

    trials = cast_to_contract(output.ledgers[evidence.TRIALS], evidence.TRIALS)
    assert violations(trials, evidence.TRIALS).is_empty()
    assert trials["trial_id"].n_unique() == runs.height
    assert trials["question"].n_unique() == 1  # all compete for one question
    assert set(trials.filter(purpose="candidate")["strategy"]).isdisjoint(NAMES["baselines"])
    series = output.ledgers[evidence.TRIAL_RETURNS]
    assert series.height == frames[contracts.EQUITY.table]["net_return"].drop_nulls().len()

    context = CheckContext(frames=frames, inputs=inputs, config=settings)
    for group in strategies.checks:
        assert all(answer.passed for answer in group.answer(context))
    assert len(output.plots) == 4
    assert all(png.startswith(b"\x89PNG") for png in output.plots.values())
    assert output.metadata["summary"].columns[:2] == ["strategy", "role"]


def test_same_inputs_give_the_same_tables_and_trials(settings, inputs, monkeypatch):
    monkeypatch.setattr("btq_assets.plots.lines", lambda *_, **__: b"")
    first, second = (strategies.compute(step(settings), **inputs) for _ in range(2))
    for table, frame in first.frames.items():
        assert frame.equals(second.frames[table])
    assert first.ledgers[evidence.TRIALS].equals(second.ledgers[evidence.TRIALS])


@pytest.mark.parametrize("edge", ["bars", *NAMES])
def test_every_edge_moves_equity(settings, inputs, edge, monkeypatch):
    """Halving one table's weights (or one asset's later prices) changes that table's runs."""
    monkeypatch.setattr("btq_assets.plots.lines", lambda *_, **__: b"")
    before = strategies.compute(step(settings), **inputs).frames[contracts.EQUITY.table]
    if edge == "bars":
        late = inputs["bars"]["ts"].unique().sort()[200]
        scaled = (pl.col("symbol") == "S00") & (pl.col("ts") >= late)
        change = pl.when(scaled).then(pl.col("adj_close") * 2).otherwise("adj_close")
        moved = inputs["bars"].with_columns(adj_close=change)
    else:
        moved = inputs[edge].with_columns(pl.col("weight") / 2)
    after = strategies.compute(step(settings), **(inputs | {edge: moved})).frames[
        contracts.EQUITY.table
    ]
    both = before.join(after, on=["strategy", "ts"], suffix="_after")
    changed = set(
        both.filter((pl.col("equity") - pl.col("equity_after")).abs() > 1)["strategy"].unique()
    )
    assert changed == set(ALL_NAMES if edge == "bars" else NAMES[edge])


@pytest.mark.parametrize(
    ("edge", "dimension"), [("market_states", "market"), ("volatility_states", "volatility")]
)
def test_states_move_the_slices_by_state_and_nothing_else(
    settings, inputs, monkeypatch, edge, dimension
):
    monkeypatch.setattr("btq_assets.plots.lines", lambda *_, **__: b"")
    before = strategies.compute(step(settings), **inputs).frames
    turned = inputs[edge].with_columns(pl.col("state").reverse())
    after = strategies.compute(step(settings), **(inputs | {edge: turned})).frames
    for table, frame in before.items():
        assert frame.equals(after[table]) == (table != contracts.SLICES.table), table
    by_state = pl.col("dimension").is_in((dimension, "market_volatility"))
    own, other = before[contracts.SLICES.table], after[contracts.SLICES.table]
    assert own.filter(~by_state).equals(other.filter(~by_state))
    assert set(own.filter(by_state)["dimension"]) == {dimension, "market_volatility"}


@pytest.fixture
def attributed(settings) -> dict[str, pl.DataFrame]:
    """Three years of six symbols, two runs, and monthly factors, seeded."""
    random = np.random.default_rng(8)
    day = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
    ts = [day + dt.timedelta(days=k) for k in range(1_100)]
    ts = pl.Series("ts", [stamp for stamp in ts if stamp.weekday() < 5])
    prices = 50 * np.exp(np.cumsum(random.normal(3e-4, 0.01, (len(ts), 6)), axis=0))
    empty = {name: pl.lit(None, pl.Float64) for name in ("open", "close", "adj_open", "volume")}
    bars = pl.concat(
        pl.DataFrame({"universe": "test", "symbol": f"S{k}", "ts": ts, "adj_close": prices[:, k]})
        for k in range(6)
    ).with_columns(**empty)
    change = np.diff(prices, axis=0) / prices[:-1]
    equity = pl.concat(
        pl.DataFrame(
            {
                "run_id": name,
                "strategy": name,
                "ts": ts,
                "net_return": [None, *change[:, :k].mean(axis=1).tolist()],
            }
        )
        for name, k in (("one", 1), ("three", 3))
    )
    months = pl.date_range(dt.date(2010, 1, 1), dt.date(2012, 12, 1), "1mo", eager=True)
    macro = pl.DataFrame(
        [
            (name, month, dt.datetime(2013, 1, 1, tzinfo=dt.UTC), random.normal(0.5, 3))
            for name in ("Mkt-RF", "SMB", "HML", "RF")
            for month in months
        ],
        schema=["series_id", "period", "known_at", "value"],
        orient="row",
    )
    return {"equity": equity, "bars": bars, "macro": macro}


def attribution_of(config: TradingConfig, tables: dict[str, pl.DataFrame]) -> pl.DataFrame:
    frame = attribution.compute(step(config), **tables).frames
    frame = frame[contracts.ATTRIBUTION.table] if isinstance(frame, dict) else frame
    frame = cast_to_contract(frame, contracts.ATTRIBUTION)
    assert violations(frame, contracts.ATTRIBUTION).is_empty()
    context = CheckContext(
        frames={contracts.ATTRIBUTION.table: frame}, inputs=tables, config=config
    )
    for group in attribution.checks:
        assert all(answer.passed for answer in group.answer(context))
    return frame


def test_every_edge_moves_the_attribution(settings, attributed):
    before = attribution_of(settings, attributed)
    assert set(before["model"]) == {"fama_french_3", "universe"}
    assert before.height == 2 * (4 + 4)
    alone = before.filter((pl.col("run_id") == "three") & (pl.col("factor") == "market"))
    assert alone["coefficient"][0] == pytest.approx(1, abs=0.2)
    changes = {
        "equity": attributed["equity"].with_columns(pl.col("net_return") * 2),
        "bars": attributed["bars"].filter(pl.col("symbol") != "S5"),
        "macro": attributed["macro"].with_columns(pl.col("value") * 2),
    }
    moved = {
        "equity": {"fama_french_3", "universe"},
        "bars": {"universe"},
        "macro": {"fama_french_3"},
    }
    for edge, frame in changes.items():
        after = attribution_of(settings, attributed | {edge: frame})
        both = before.join(after, on=("run_id", "model", "factor"), suffix="_after")
        changed = both.filter(
            (pl.col("standard_error") - pl.col("standard_error_after")).abs() > 1e-9
        )
        assert set(changed["model"]) == moved[edge], edge


def test_a_file_of_factors_is_one_more_model(attributed, tmp_path):
    path = tmp_path / "momentum.csv"
    random = np.random.default_rng(4)
    days = attributed["bars"]["ts"].unique().sort().dt.strftime("%Y%m%d")
    rows = [f"{day},{random.normal(0, 1):.2f},{0.01}" for day in days]
    path.write_text("A note.\n\n,Mom,RF\n" + "\n".join(rows) + "\n\nCopyright\n")
    config = TradingConfig(universe={"main": "test"}, backtest={"factor_file": str(path)})
    found = attribution_of(config, attributed).filter(model="file")
    assert sorted(found["factor"].unique()) == ["Mom", "alpha"]
    assert found["note"].unique().to_list() == ["factors of momentum.csv"]
    version = attribution.source_version(config)
    path.write_text(path.read_text().replace("0.01", "0.02"))
    assert attribution.source_version(config) != version
    path.unlink()
    with pytest.raises(
        BacktestError, match=r"backtest\.factor_file = .*momentum\.csv.* cannot be read"
    ):
        attribution.source_version(config)
    assert attribution.source_version(TradingConfig()) == ""
