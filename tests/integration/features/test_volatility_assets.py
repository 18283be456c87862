"""What the asset of the volatility models reports of its fits."""

from __future__ import annotations

import datetime as dt

from btq_assets.config import TradingConfig
from btq_assets.features import assets
from btq_assets.warehouse import Step


def test_fits_behind_the_rows_are_reported(make_bars_function):
    garch = {"min_fit_sessions": 120, "refit_every_sessions": 100}
    step = Step(
        config=TradingConfig(features={"garch": garch}),
        run_id="test",
        now=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        log=lambda message: None,
        code_version="test",
        data_versions={},
        read_ledger=lambda contract: contract.empty(),
        artifacts=None,  # type: ignore[arg-type]
    )
    bars = make_bars_function(2, 200, universe="us20")
    (asset,) = [a for a in assets.FAMILY_ASSETS if a.outputs[0].name == "volatility_models"]
    reported = asset.compute(step, bars=bars).metadata["fits"]

    assert reported.filter(model="garch", fit="short")["sessions"].item() == 2 * 120
    assert set(reported["model"]) == {"garch", "gjr", "egarch"}
