"""Alternative data on a real DuckDB file: stored, refused, asked again, replayed, computed on."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json

import dagster as dg
import polars as pl
import pytest
from local_server import Reply

from btq_assets.config import TradingConfig
from btq_assets.contracts import quarantine
from btq_assets.contracts.core import MACRO_VINTAGES
from btq_assets.contracts.core_alternative import (
    OPTION_METRICS,
    OPTION_QUOTES,
    OPTION_SURFACES,
    OPTION_SWEEPS,
    OPTION_TRADES,
)
from btq_assets.contracts.raw.alternative import (
    IV_SURFACES_SAMPLE,
    ONCHAIN_FEAR_GREED,
    OPTION_QUOTES_DERIBIT,
)
from btq_assets.definitions import build_definitions
from btq_assets.sources.alternative import checks as checks_module
from btq_assets.sources.alternative.assets import iv_surfaces_sample, option_metrics, option_sweeps
from btq_assets.sources.alternative.black import black_price
from btq_assets.sources.alternative.registry import ENTRIES
from btq_assets.sources.assets import PROVIDER_ASSETS
from btq_assets.warehouse import table_asset

#: Without the suites of `data_quality`, which judge whole tables and have tests of their own.
OWN_CHECKS = (*checks_module.OPTION_CHECKS, *checks_module.ONCHAIN_CHECKS)


def asset_of(name: str):
    import dataclasses

    (asset,) = [a for a in PROVIDER_ASSETS if a.remote == name]
    return dataclasses.replace(asset, checks=tuple(g for g in asset.checks if g in OWN_CHECKS))


def config_of(web, name: str, **more) -> TradingConfig:
    section = {"enabled": True, "base_url": web.url, "calls_per_minute": 6_000, **more}
    return TradingConfig(sources={name: section})


def index(*values: tuple[int, object]) -> Reply:
    stamps = [
        {"value": value, "timestamp": str(int(dt.datetime(2024, 3, n, tzinfo=dt.UTC).timestamp()))}
        for n, value in values
    ]
    return Reply(json.dumps({"data": stamps, "metadata": {"error": None}}))


def test_a_second_fetch_adds_what_changed_and_a_third_nothing(web, run):
    config = config_of(web, "fear_greed", answers_fresh_hours=0)
    web.respond = lambda request: index((2, "50"), (1, "40"))
    run(asset_of("fear_greed"), config=config)
    web.respond = lambda request: index((3, "60"), (2, "55"), (1, "40"))
    run(asset_of("fear_greed"), config=config)
    run(asset_of("fear_greed"), config=config)
    stored = run.warehouse.read(ONCHAIN_FEAR_GREED).sort("ts", "known_at")
    assert stored["value"].to_list() == [40, 50, 55, 60]
    assert stored["known_at_basis"].to_list() == [
        "assumed_lag", "assumed_lag", "recorded", "assumed_lag",
    ]  # fmt: skip


def test_refused_rows_are_in_quarantine_and_answers_can_be_parsed_again(web, run):
    config = config_of(web, "fear_greed")
    good = [(n, "50") for n in range(1, 29)]
    web.respond = lambda request: index(*good, (29, "high"))
    run(asset_of("fear_greed"), config=config)
    refused = run.warehouse.read(quarantine.ROWS)
    assert refused.select("table_name", "reason").rows() == [
        ("raw.onchain_fear_greed", "value 'high' is not a number")
    ]
    n_asked = len(web.asked)
    replay = TradingConfig(sources={"replay": True, "fear_greed": {"enabled": True}})
    # Nobody is asked: the address of the stored answer does not name the server.
    run(asset_of("fear_greed"), config=replay)
    assert len(web.asked) == n_asked
    assert run.warehouse.read(ONCHAIN_FEAR_GREED).height == 28


def test_a_chain_in_the_wrong_unit_is_not_stored(web, run):
    def summary(number: int) -> dict:
        return {
            "instrument_name": f"BTC-27DEC24-{number}000-C", "creation_timestamp": 1_718_999_110_123,
            "bid_price": 0.1, "ask_price": 0.2, "mark_iv": 6_235.0, "underlying_price": 67_000.0,
        }  # fmt: skip

    config = config_of(web, "deribit", currencies=["BTC"])
    web.respond = lambda r: Reply(json.dumps({"result": [summary(n) for n in range(50, 60)]}))
    result = run(asset_of("deribit"), config=config, raise_on_error=False)
    assert not result.success
    answers = {c.check_name: c.passed for c in result.get_asset_check_evaluations()}
    assert not answers["volatility_is_a_fraction"]
    assert not run.warehouse.has(OPTION_QUOTES_DERIBIT)


def quotes(n_days: int = 2) -> pl.DataFrame:
    """A flat surface at 20 %, forward given: two expiries, 21 strikes."""
    rows = []
    for n in range(n_days):
        ts = dt.datetime(2024, 6, 3 + n, 20, tzinfo=dt.UTC)
        for days in (20, 100):
            expires = dt.datetime(2024, 6, 3, 8, tzinfo=dt.UTC) + dt.timedelta(days=days)
            years = (expires - ts).total_seconds() / (365 * 86_400)
            for strike in range(80, 121, 2):
                for kind, right in (("call", 1.0), ("put", -1.0)):
                    price = float(black_price(right, 100, strike, years, 0.2))
                    name = f"X-{days}-{strike}-{kind}"
                    rows.append(
                        ("t", "t", "X", name, "X", kind, float(strike), expires.date(), expires, ts,
                         ts, price * 0.99, price * 1.01, None, 5.0, 9.0, 0.2, None, 100.0,
                         "forward", "currency", "USD", 1.0)
                    )  # fmt: skip
    return pl.DataFrame(rows, schema=OPTION_QUOTES.schema, orient="row")


def test_option_metrics_follow_from_the_core_view(run):
    @table_asset(outputs=(OPTION_QUOTES,), group="core", reuse=False)
    def quotes_as_dbt_makes_them(step):
        """The view, as a table."""
        from btq_assets.warehouse import TableOutput

        return TableOutput(quotes())

    @table_asset(outputs=(MACRO_VINTAGES,), group="core", reuse=False)
    def vintages_as_dbt_makes_them(step):
        """No curve at all."""
        from btq_assets.warehouse import TableOutput

        return TableOutput(MACRO_VINTAGES.empty())

    config = TradingConfig(sources={"option_metrics": {"enabled": True}})
    result = run(
        quotes_as_dbt_makes_them, vintages_as_dbt_makes_them, option_metrics, config=config
    )
    assert result.success
    metrics = run.warehouse.read(OPTION_METRICS)
    assert metrics["atm_iv_30d"].to_list() == pytest.approx([0.2, 0.2], abs=1e-3)
    assert run.warehouse.read(OPTION_SURFACES).height == 4
    passed = {c.check_name: c.passed for c in result.get_asset_check_evaluations()}
    assert passed["smiles_fit_closely"]
    assert passed["smiles_free_of_arbitrage"]
    assert passed["volatility_agrees_with_provider"]
    (event,) = result.asset_materializations_for_node("core__option_metrics")[:1]
    assert "term structure of X 2024-06-04" in " ".join(event.metadata)


def test_sweeps_follow_from_the_core_view(run):
    """Three prints of one buyer in 90 ms; the day's other trades stand alone."""
    start = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)

    def trade(number: int, ms: int, price: float) -> dict:
        ts = start + dt.timedelta(milliseconds=ms)
        return {
            "source": "deribit", "dataset": "deribit", "underlying": "BTC",
            "contract_id": "BTC-28JUN24-70000-C", "kind": "call", "strike": 70_000.0,
            "expiry": dt.date(2024, 6, 28), "trade_seq": number, "trade_id": str(number),
            "expires_at": dt.datetime(2024, 6, 28, 8, tzinfo=dt.UTC), "ts": ts,
            "known_at": ts + dt.timedelta(seconds=5), "price": price, "amount": 1.0, "side": "buy",
            "index_price": 60_000.0, "premium_unit": "underlying", "currency": "USD",
        }  # fmt: skip

    @table_asset(outputs=(OPTION_TRADES,), group="core", reuse=False)
    def trades_as_dbt_makes_them(step):
        """The view, as a table."""
        from btq_assets.warehouse import TableOutput

        prints = [(1, 0, 0.05), (2, 40, 0.051), (3, 90, 0.052), (4, 9_000, 0.05), (5, 60_000, 0.06)]
        return TableOutput(
            pl.DataFrame([trade(*print_) for print_ in prints], schema=OPTION_TRADES.schema)
        )

    config = TradingConfig(sources={"option_sweeps": {"enabled": True}})
    assert run(trades_as_dbt_makes_them, option_sweeps, config=config).success
    (sweep,) = run.warehouse.read(OPTION_SWEEPS).rows(named=True)
    assert (sweep["first_trade_id"], sweep["last_trade_id"], sweep["n_prints"]) == ("1", "3", 3)
    # (0.05 + 0.051 + 0.052) x 60 000.
    assert sweep["premium"] == pytest.approx(9_180.0)


def test_the_graph_has_what_is_enabled_and_metrics_where_there_are_quotes():
    def keys(**sources) -> set[str]:
        graph = build_definitions(TradingConfig(sources=sources)).resolve_asset_graph()
        return {"/".join(key.path) for key in graph.executable_asset_keys}

    metrics = {"core/option_metrics", "core/option_surfaces", "core/unusual_options"}
    raw_tables = {"/".join(entry.contracts[0].asset_key) for entry in ENTRIES}
    off = keys()
    assert not off & (metrics | raw_tables | {"raw/iv_surfaces_sample"})
    assert {"core/option_quotes", "core/dark_pool", "core/onchain_metrics"} <= off
    everything = {entry.name: {"enabled": True} for entry in ENTRIES}
    on = keys(**everything, options_sample={"enabled": True})
    assert metrics | raw_tables | {"raw/iv_surfaces_sample"} <= on
    assert not metrics & keys(fear_greed={"enabled": True})
    trades = keys(deribit_trades={"enabled": True})
    assert "core/option_sweeps" in trades
    # Trades alone say nothing of the quotes.
    assert not metrics & trades


def test_core_tables_of_assets_are_not_written_by_dbt():
    from btq_assets.definitions import dbt_layers

    core = next(layer for layer in dbt_layers() if layer.name == "dbt_core")
    written = {contract.table for contract in core.outputs}
    assert "core.option_quotes" in written
    assert OPTION_METRICS.table not in written


def test_the_packaged_surfaces_are_stored(run):
    if importlib.util.find_spec("qmoms") is None:
        pytest.skip("qmoms is not installed: pip install -c constraints.txt -e '.[options-sample]'")
    config = TradingConfig(sources={"options_sample": {"enabled": True}})
    assert run(iv_surfaces_sample, config=config).success
    assert run.warehouse.read(IV_SURFACES_SAMPLE).height == 67_500


def test_a_missing_package_is_named_with_its_command(run, monkeypatch):
    from btq_assets.sources import packaged

    monkeypatch.setattr(packaged, "_resource_bytes", lambda file: None)
    config = TradingConfig(sources={"options_sample": {"enabled": True}})
    result = run(iv_surfaces_sample, config=config, raise_on_error=False)
    (failure,) = result.get_step_failure_events()
    assert isinstance(failure, dg.DagsterEvent)
    said = str(failure.event_specific_data.error_display_string)
    assert "pip install --force-reinstall qmoms==0.1.3" in said
