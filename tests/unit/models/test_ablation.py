"""A family left out: what it is worth is measured on the same decisions, and stated with doubt."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import models as tables
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.models import ablation
from btq_assets.models.forecaster import ModelError

CONFIG = TradingConfig(backtest={"bootstrap_samples": 400})
KEY = ["universe", "symbol", "ts"]


@pytest.fixture(scope="module")
def forecasts(planted) -> dict[str, pl.DataFrame]:
    """Forecasts that see the planted signal, and ones that do not."""
    known = planted.filter(pl.col("label").is_not_null())
    return {
        "signal": known.select(*KEY, forecast="signal"),
        "noise": known.select(*KEY, forecast="noise"),
    }


def test_a_family_that_carries_the_signal_adds(forecasts, planted):
    found = ablation.compare(forecasts["signal"], forecasts["noise"], planted, CONFIG)
    assert found["verdict"] == "adds"
    assert found["ci_low"] > 0
    assert found["difference"] == pytest.approx(found["rank_ic_with"] - found["rank_ic_without"])
    back = ablation.compare(forecasts["noise"], forecasts["signal"], planted, CONFIG)
    assert back["verdict"] == "costs"
    assert back["difference"] == pytest.approx(-found["difference"])


def test_equal_forecasts_differ_by_nothing(forecasts, planted):
    found = ablation.compare(forecasts["signal"], forecasts["signal"], planted, CONFIG)
    assert (found["difference"], found["ci_low"], found["ci_high"]) == (0, 0, 0)
    assert found["verdict"] == "not shown"


def test_two_kinds_of_noise_show_nothing(forecasts, planted):
    # Of 20 independent comparisons of noise at 95 % about one is expected to show something; 4 or
    # more have probability 0.016 by the binomial distribution.
    shown, n = 0, forecasts["noise"].height
    for seed in range(20):
        random = np.random.default_rng(seed)
        one, other = (
            forecasts["noise"].with_columns(forecast=pl.Series(random.normal(size=n)))
            for _ in range(2)
        )
        shown += ablation.compare(one, other, planted, CONFIG)["verdict"] != "not shown"
    assert shown < 4


def test_forecasts_of_other_decisions_are_not_compared(forecasts, planted):
    with pytest.raises(ModelError, match="same splits"):
        ablation.compare(forecasts["signal"], forecasts["noise"].head(100), planted, CONFIG)
    unlabelled = planted.with_columns(label=pl.lit(None, pl.Float64))
    with pytest.raises(ModelError, match="nothing to compare"):
        ablation.compare(forecasts["signal"], forecasts["noise"], unlabelled, CONFIG)


def test_paper_returns_by_hand():
    # Three assets ranked 1, 2, 3: weights -1/2, 0, 1/2; then reversed, which turns over 2.
    ts = pl.select(pl.datetime(2010, 1, pl.Series([4, 11]), time_zone="UTC")).to_series()
    rows = [
        (symbol, ts[week], forecast, label)
        for week, ranks, labels in ((0, (1, 2, 3), (-0.02, 0.5, 0.04)), (1, (3, 2, 1), (0, 0, 0)))
        for symbol, forecast, label in zip("ABC", ranks, labels, strict=True)
    ]
    frame = pl.DataFrame(
        rows,
        schema={
            "symbol": pl.String,
            "ts": pl.Datetime("us", "UTC"),
            "forecast": pl.Float64,
            "label_raw": pl.Float64,
        },
        orient="row",
    ).with_columns(universe=pl.lit("u"))
    found = ablation.paper_returns(frame.drop("label_raw"), frame, CONFIG)["net_return"]
    # Half-spread of 2 and commission of 1 basis points in 2010, on a turnover of 1 and of 2.
    assert found.to_list() == pytest.approx([0.03 - 3e-4, -6e-4])


def test_rows_fit_their_contract_and_a_verdict_needs_its_interval(forecasts, planted):
    row = {"model": "ridge", "variant": "base", "family": "quantum"} | ablation.compare(
        forecasts["signal"], forecasts["noise"], planted, CONFIG
    )
    one = ablation.Ablation("ridge", "quantum", row, [], {})
    frame = cast_to_contract(ablation.ablations_table([one]), tables.ABLATIONS)
    assert violations(frame, tables.ABLATIONS).is_empty()
    boasting = frame.with_columns(ci_low=pl.lit(-0.1))
    assert not violations(boasting, tables.ABLATIONS).is_empty()
