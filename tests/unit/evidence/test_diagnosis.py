"""Expected values by hand; each symptom has a run that shows it and a sound one that does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from btq_assets.evidence.diagnosis import RunRecord, diagnose, gains_by_symbol

START = datetime(2020, 1, 1, tzinfo=UTC)


def equity_of(returns):
    returns = [None if np.isnan(r) else float(r) for r in returns]
    stamps = [START + timedelta(days=k) for k in range(len(returns))]
    return pl.DataFrame(
        {"ts": stamps, "net_return": returns}, schema_overrides={"net_return": pl.Float64}
    )


def fills(rows):
    return pl.DataFrame(
        rows, schema=["symbol", "day", "shares", "price"], orient="row"
    ).select(
        "symbol",
        (pl.lit(START) + pl.duration(days="day")).alias("filled_at"),
        pl.col("shares").cast(pl.Float64),
        pl.col("price").cast(pl.Float64),
        commission=pl.lit(0.0),
        spread_cost=pl.lit(0.0),
        impact_cost=pl.lit(None, pl.Float64),
    )  # fmt: skip


def closes(prices):
    rows = [(symbol, START + timedelta(days=500), float(price)) for symbol, price in prices.items()]
    return pl.DataFrame(rows, schema=["symbol", "ts", "close"], orient="row")


@pytest.fixture
def sound():
    random = np.random.default_rng(1)
    rows = [
        (symbol, 10 * k, 1 if k % 2 == 0 else -1, 100 + k + 3 * number + 0.7 * (k % 3))
        for number, symbol in enumerate("ABCD")
        for k in range(10)
    ]
    return RunRecord(
        equity=equity_of([np.nan, *random.normal(0.0009, 0.01, 500)]),
        trades=fills(rows),
        closes=closes(dict.fromkeys("ABCD", 100.0)),
        benchmark=equity_of([np.nan, *np.random.default_rng(2).normal(0.0004, 0.01, 500)]),
        n_parameters=10,
    )


def symptoms(run):
    return [finding.symptom for finding in diagnose(run)]


def test_a_sound_run_has_no_symptom(sound):
    assert symptoms(sound) == []


def test_few_fills(sound):
    found = diagnose(replace(sound, trades=sound.trades.head(29)))
    assert [f.symptom for f in found if f.symptom == "few_fills"] == ["few_fills"]
    assert found[0].value == 29


def test_flat_equity(sound):
    returns = np.where(np.arange(500) % 5 < 3, 0.0, 0.01 * (-1.0) ** np.arange(500))
    finding = next(
        f for f in diagnose(replace(sound, equity=equity_of(returns))) if f.symptom == "flat_equity"
    )
    assert finding.value == pytest.approx(0.6)


def test_stale_fills(sound):
    same = sound.trades.with_columns(price=pl.lit(100.0))
    finding = next(f for f in diagnose(replace(sound, trades=same)) if f.symptom == "stale_fills")
    # All fills but each symbol's first.
    assert finding.value == pytest.approx(36 / 40)


def test_lucky_days(sound):
    returns = np.full(500, -0.0002)
    returns[::2] = 0.0001
    returns[77] = 0.5
    finding = next(
        f for f in diagnose(replace(sound, equity=equity_of(returns))) if f.symptom == "lucky_days"
    )
    # The best 3 of 500: the jump and two of the 249 other gains.
    growth = np.log1p([0.0001] * 248 + [-0.0002] * 249)
    assert finding.value == pytest.approx(growth.sum(), rel=1e-6)


def test_lucky_symbol(sound):
    trades = pl.concat([sound.trades, fills([("A", 200, 10, 50.0)])])
    finding = next(
        f for f in diagnose(replace(sound, trades=trades)) if f.symptom == "lucky_symbol"
    )
    gains = gains_by_symbol(trades, sound.closes)
    assert finding.value == pytest.approx(gains["gain"][0] / gains["gain"].sum())
    assert "A made" in finding.detail


def test_exposure_explains_return(sound):
    noise = np.random.default_rng(3).normal(0, 0.001, 500)
    market = sound.benchmark["net_return"].to_numpy()[1:]
    run = replace(sound, equity=equity_of([np.nan, *(0.8 * market + noise)]))
    finding = next(f for f in diagnose(run) if f.symptom == "exposure_explains_return")
    assert finding.value == pytest.approx(np.corrcoef(0.8 * market + noise, market)[0, 1] ** 2)
    # The same exposure with a steady gain of its own is another matter.
    better = replace(sound, equity=equity_of([np.nan, *(0.8 * market + noise + 0.0005)]))
    assert "exposure_explains_return" not in symptoms(better)


def test_too_many_parameters(sound):
    finding = next(
        f for f in diagnose(replace(sound, n_parameters=100)) if f.symptom == "too_many_parameters"
    )
    assert finding.value == 5.0


def test_too_good(sound):
    better = equity_of(np.random.default_rng(1).normal(0.003, 0.01, 500))
    assert "too_good" in symptoms(replace(sound, equity=better))


def test_gains_by_hand():
    trades = fills([("A", 1, 2, 10.0), ("A", 2, -2, 13.0), ("B", 1, 3, 5.0)]).with_columns(
        commission=pl.lit(0.5)
    )
    found = gains_by_symbol(trades, closes({"B": 4.0}))
    # A: 26 - 20 less a fee of 1. B: bought at 15, worth 12, less a fee of 0.5.
    assert found.rows() == [("A", pytest.approx(5.0)), ("B", pytest.approx(-3.5))]
    with pytest.raises(ValueError, match="no close for \\['B'\\]"):
        gains_by_symbol(trades, closes({"C": 4.0}))
