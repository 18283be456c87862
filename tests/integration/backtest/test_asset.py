"""The backtest asset as the graph calls it, without a warehouse."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from btq_assets.backtest.assets import strategies
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
    tables["states"] = pl.DataFrame(
        {
            "scope": "test",
            "ts": sessions,
            "state": ["calm" if number % 7 else "turbulent" for number in range(len(sessions))],
            "trend": [
                ("bull", "bear", "sideways")[number // 100 % 3] for number in range(len(sessions))
            ],
        }
    )
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
