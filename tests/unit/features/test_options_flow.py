"""Options family: readings by hand, by the time they were known; leaks caught."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from alternative_frames import rows_of
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.core_alternative import (
    OPTION_METRICS,
    OPTION_SURFACES,
    OPTION_SWEEPS,
    UNUSUAL_OPTIONS,
)
from btq_assets.features import options_flow
from btq_assets.features.checks import truncation_gate

START = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)
CONTRACTS = {
    "metrics": OPTION_METRICS,
    "surfaces": OPTION_SURFACES,
    "unusual": UNUSUAL_OPTIONS,
    "sweeps": OPTION_SWEEPS,
}


def _tables(**rows: list[dict[str, object]]) -> dict[str, pl.DataFrame]:
    return {name: rows_of(contract, rows.get(name, [])) for name, contract in CONTRACTS.items()}


def _snapshot(day: int, minutes: int = -5, source: str = "cboe", **values: object):
    """A snapshot of a day, known so many minutes after its close."""
    stamp = START + dt.timedelta(days=day)
    return {
        "source": source, "dataset": "chains", "underlying": "S00",
        "ts": stamp - dt.timedelta(minutes=20), "known_at": stamp + dt.timedelta(minutes=minutes),
        **values,
    }  # fmt: skip


def _on(frame: pl.DataFrame, day: int) -> dict[str, object]:
    found = frame.filter(pl.col("ts") == START + dt.timedelta(days=day))
    return found.row(0, named=True) if found.height else {}


def test_a_snapshot_counts_from_when_it_was_known_and_for_five_days(make_bars):
    rows = [_snapshot(0, atm_iv_30d=0.2), _snapshot(1, minutes=5, atm_iv_30d=0.3)]
    frame = options_flow.compute(make_bars(2, 20), _tables(metrics=rows))
    assert set(frame["symbol"]) == {"S00"}
    found = {day: _on(frame, day)["option_atm_iv_30d"] for day in (0, 1, 2, 4, 7)}
    # Known five minutes after the close of day 1: the close of day 2 is the first to see it.
    assert found == {0: 0.2, 1: 0.2, 2: 0.3, 4: 0.3, 7: None}


def test_changes_are_between_snapshots_of_one_dataset(make_bars):
    days = (0, 1, 2, 3, 4, 7, 8)
    rows = [
        _snapshot(day, source="cboe" if day < 8 else "other", atm_iv_30d=0.1 + day / 100,
                  skew_25d_30d=day / 10)
        for day in days
    ]  # fmt: skip
    frame = options_flow.compute(make_bars(1, 20), _tables(metrics=rows))
    assert _on(frame, 4)["option_atm_iv_change_5d"] is None
    assert _on(frame, 7)["option_atm_iv_change_5d"] == pytest.approx(0.07)
    assert _on(frame, 7)["option_skew_change_5d"] == pytest.approx(0.7)
    assert _on(frame, 8)["option_atm_iv_change_5d"] is None


def test_the_variance_premium_by_hand(make_bars):
    bars = make_bars(1, 40)
    rows = [_snapshot(day, atm_iv_30d=0.3) for day in range(60)]
    frame = options_flow.compute(bars, _tables(metrics=rows))
    returns = np.diff(np.log(bars["adj_close"].to_numpy()))
    expected = 0.09 - 252 * np.mean(returns[:21] ** 2)
    assert frame["option_variance_premium"].null_count() == 21
    assert frame["option_variance_premium"][21] == pytest.approx(expected)


def test_smiles_and_unusual_contracts_of_a_snapshot(make_bars):
    def smile(days: int, iv: float, minutes: int = -5):
        wings = {"put_25d_iv": iv + 0.05, "call_25d_iv": iv + 0.01}
        return _snapshot(
            0, minutes, expires_at=START + dt.timedelta(days=days), years=days / 365, atm_iv=iv, **wings
        )  # fmt: skip

    # atm_iv = 0.1 + 0.02 ln(years): the slope is recovered. A smile fitted later is left out.
    smiles = [smile(days, 0.1 + 0.02 * math.log(days / 365)) for days in (7, 35, 180)]
    unusual = [
        _snapshot(0, contract_id="a", kind="put", volume=300.0),
        _snapshot(0, contract_id="b", kind="call", volume=100.0),
        _snapshot(0, 60, contract_id="c", kind="put", volume=1e6),
    ]
    rows = [_snapshot(0, atm_iv_30d=0.2, n_unusual_contracts=2, volume=50.0, open_interest=200.0)]
    tables = _tables(metrics=rows, surfaces=[*smiles, smile(400, 9.0, minutes=60)], unusual=unusual)
    found = _on(options_flow.compute(make_bars(1, 10), tables), 0)
    assert found["option_term_slope_log"] == pytest.approx(0.02)
    assert found["option_butterfly_25d"] == pytest.approx(0.03)
    assert found["option_unusual_contracts"] == 2
    assert found["option_unusual_put_share"] == pytest.approx(0.75)
    assert found["option_volume_to_oi"] == pytest.approx(0.25)


def test_put_call_volume_among_its_last_21_sessions(make_bars):
    rows = [_snapshot(day, put_call_volume=1.0 if day != 28 else 5.0) for day in range(29)]
    frame = options_flow.compute(make_bars(1, 40), _tables(metrics=rows))
    # 20 equal values and one outlier: (21 - 1) / sqrt(21), whatever its size.
    assert _on(frame, 28)["option_put_call_volume_z_21"] == pytest.approx(20 / math.sqrt(21))
    assert _on(frame, 25)["option_put_call_volume_z_21"] is None  # they do not vary


def _sweep(day: int, kind: str, side: str, premium: float, hours: float = -1.0):
    return {
        "source": "deribit", "dataset": "trades", "underlying": "S00", "contract_id": f"{day}{kind}{side}",
        "first_trade_id": str(premium), "kind": kind, "side": side, "premium": premium,
        "ts": START + dt.timedelta(days=day, hours=hours - 1),
        "known_at": START + dt.timedelta(days=day, hours=hours),
    }  # fmt: skip


def test_sweeps_count_for_five_sessions_from_when_they_were_known(make_bars):
    sweeps = [
        _sweep(1, "call", "buy", 300.0),
        _sweep(1, "put", "buy", 100.0),
        _sweep(2, "put", "sell", 100.0, hours=2),  # after the close: the next session's
    ]
    frame = options_flow.compute(make_bars(1, 20), _tables(sweeps=sweeps))
    assert _on(frame, 0) == {}
    assert _on(frame, 1)["option_sweeps_5d"] == 2
    assert _on(frame, 1)["option_sweep_imbalance_5d"] == pytest.approx(200 / 400)
    assert _on(frame, 2)["option_sweep_imbalance_5d"] == pytest.approx(200 / 400)
    assert _on(frame, 3)["option_sweep_imbalance_5d"] == pytest.approx(300 / 500)
    assert _on(frame, 8)["option_sweep_imbalance_5d"] == 1.0
    assert _on(frame, 10)["option_sweeps_5d"] is None


def test_the_underlying_of_a_symbol_is_configured(make_bars):
    bars = make_bars(1, 10).with_columns(symbol=pl.lit("INDEX"))
    tables = _tables(metrics=[_snapshot(0, atm_iv_30d=0.2)])
    assert options_flow.compute(bars, tables).is_empty()
    config = TradingConfig(features={"option_underlyings": {"INDEX": "S00"}})
    assert options_flow.compute(bars, tables, config.features)["option_atm_iv_30d"][0] == 0.2


def _at_the_time_of_the_quote(inputs, config):
    """The leak: a snapshot counts from its own time, not from when it was known."""
    rows = inputs["option_metrics"].with_columns(known_at=pl.col("ts"))
    return options_flow.compute_from({**inputs, "option_metrics": rows}, config)


def test_a_snapshot_before_it_was_known_is_caught(world):
    config = TradingConfig(features={"truncation_dates": 10})
    for compute, passes in ((_at_the_time_of_the_quote, False), (options_flow.compute_from, True)):
        frame = compute(world, config)
        gate = truncation_gate(contracts.OPTIONS_FLOW, compute, symbols=2)
        (outcome,) = gate.answer(CheckContext({"features.options_flow": frame}, world, config))
        assert outcome.passed == passes, outcome.message


@pytest.mark.parametrize(
    ("table", "column", "changed"),
    [
        ("option_metrics", "put_call_oi", pl.col("put_call_oi") * 3),
        ("option_surfaces", "atm_iv", pl.col("atm_iv") * 3),
        ("unusual_options", "kind", pl.col("kind").replace({"put": "call", "call": "put"})),
        ("option_sweeps", "side", pl.col("side").replace({"buy": "sell", "sell": "buy"})),
    ],
)
def test_a_changed_row_changes_what_follows_and_nothing_before(
    table, column, changed, world, config
):
    rows = world[table]
    at = rows["known_at"].sort()[rows.height // 2]
    now = pl.col("known_at") == at
    moved = rows.with_columns(pl.when(now).then(changed).otherwise(column).alias(column))
    before = options_flow.compute_from(world, config)
    after = options_flow.compute_from({**world, table: moved}, config)
    past = pl.col("ts") < at
    assert_frame_equal(before.filter(past), after.filter(past))
    assert not before.equals(after)


def test_without_options_there_are_no_rows(world):
    assert options_flow.compute(world["bars"], _tables()).is_empty()
