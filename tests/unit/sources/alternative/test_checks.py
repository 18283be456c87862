"""Each check passes rows it should and fails those it is there for."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from btq_assets.contracts.checks import CheckContext
from btq_assets.contracts.core_alternative import OPTION_SURFACES, OPTION_SWEEPS
from btq_assets.contracts.raw import alternative as raw
from btq_assets.sources.alternative import checks

TS = dt.datetime(2024, 6, 3, 20, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def frame(contract, n_rows: int = 10, **columns) -> pl.DataFrame:
    """Rows with the given values (a list gives one each), all else missing."""
    values = {
        name: value if isinstance(value, list) else [value] * n_rows
        for name, value in columns.items()
    }
    return pl.DataFrame(
        {name: values.get(name, [None] * n_rows) for name in contract.column_names},
        schema=contract.schema,
    )


QUOTES = {
    "bid": 1.0,
    "ask": 1.1,
    "iv_provider": 0.2,
    "ts": TS,
    "expires_at": TS + 30 * DAY,
    "contract_id": "X",
}
SHORT = {"short_volume": 45.0, "total_volume": 100.0}
WEEK = {"week": dt.date(2024, 6, 3), "known_at": dt.datetime(2024, 6, 25, tzinfo=dt.UTC)}
CHAIN = {
    "dataset": "d",
    "asset": "btc",
    "metric": "m",
    "ts": [TS + n * DAY for n in range(10)],
    "value": [5.0 + n for n in range(10)],
}
SMILES = {"rmse_iv": 0.004, "butterfly_free": True, "calendar_free": None, "mean_iv_gap": 0.001}
TRADES = {"dataset": "d", "contract_id": "X", "trade_seq": list(range(10)), "iv_provider": 0.6}
SAMPLE = {"underlying": "IBM", "session": dt.date(2023, 1, 3), "days": 30.0}

CASES = [
    ("quotes_not_crossed", raw.OPTION_QUOTES_CBOE, QUOTES, {"bid": 2.0}),
    ("contracts_not_expired", raw.OPTION_QUOTES_CBOE, QUOTES, {"expires_at": TS - 2 * DAY}),
    ("volatility_is_a_fraction", raw.OPTION_QUOTES_CBOE, QUOTES, {"iv_provider": 21.5}),
    ("few_trades_are_missing", raw.OPTION_TRADES_DERIBIT, TRADES, {"trade_seq": [*range(9), 40]}),
    ("sweeps_are_brief", OPTION_SWEEPS, {"duration_ms": 90}, {"duration_ms": 60_001}),
    ("short_share_is_plausible", raw.SHORT_VOLUME_FINRA, SHORT, {"short_volume": 99.0}),
    ("published_two_weeks_late", raw.DARK_POOL_FINRA, WEEK, {"known_at": TS + 14 * DAY}),
    ("no_tenfold_jump", raw.ONCHAIN_COINMETRICS, CHAIN, {"value": [5.0] * 9 + [500.0]}),
    ("smiles_fit_closely", OPTION_SURFACES, SMILES, {"rmse_iv": 0.05}),
    ("smiles_free_of_arbitrage", OPTION_SURFACES, SMILES, {"butterfly_free": False}),
    ("smiles_free_of_arbitrage", OPTION_SURFACES, SMILES, {"calendar_free": False}),
    ("volatility_agrees_with_provider", OPTION_SURFACES, SMILES, {"mean_iv_gap": -0.05}),
    ("every_smile_is_whole", raw.IV_SURFACES_SAMPLE, SAMPLE, {"days": [30.0] * 17 + [60.0]}),
]  # fmt: skip
GROUPS = {
    group.specs[0].name: group
    for groups in (
        checks.OPTION_CHECKS, checks.SHORT_VOLUME_CHECKS, checks.DARK_POOL_CHECKS,
        checks.OPTION_TRADE_CHECKS, checks.SWEEP_CHECKS, checks.ONCHAIN_CHECKS, checks.OPTION_METRIC_CHECKS, checks.SAMPLE_CHECKS,
    )
    for group in groups
}  # fmt: skip


def answer(name: str, contract, rows: pl.DataFrame):
    (outcome,) = GROUPS[name].answer(CheckContext({contract.table: rows}, {}, None))
    return outcome


@pytest.mark.parametrize(("name", "contract", "good", "bad"), CASES)
def test_a_check_fails_what_it_is_there_for(name, contract, good, bad):
    n_rows = 18 if contract is raw.IV_SURFACES_SAMPLE else 10
    assert answer(name, contract, frame(contract, n_rows, **good)).passed
    failed = answer(name, contract, frame(contract, n_rows, **(good | bad)))
    assert not failed.passed
    assert failed.message
    assert answer(name, contract, contract.empty()).passed


def test_every_check_has_a_case():
    assert {case[0] for case in CASES} == set(GROUPS)
