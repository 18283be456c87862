"""The table of labels: rows, ends, and nothing known too early."""

from __future__ import annotations

import ast
import datetime as dt

import polars as pl
import pytest

from btq_assets import timeline
from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.features.labels import labels
from btq_assets.features.labels.checks import JUDGED, KNOWN_AT_ITS_END

KEY = list(contracts.LABELS.key)


def configured(**settings) -> TradingConfig:
    return TradingConfig(universe={"main": "test"}, features={"labels": settings})


@pytest.fixture(scope="module")
def bars(pytestconfig) -> pl.DataFrame:
    shared = str(pytestconfig.rootpath / "tests" / "conftest.py")
    plugins = pytestconfig.pluginmanager.get_plugins()
    make_bars = next(p for p in plugins if getattr(p, "__file__", None) == shared).make_bars
    found = make_bars(3, 400)
    sessions = found["ts"].unique().sort()
    gap = (pl.col("symbol") == "S01") & pl.col("ts").is_in(sessions[300:302].implode())
    stops = (pl.col("symbol") == "S02") & (pl.col("ts") > sessions[350])
    return found.filter(~gap & ~stops)


@pytest.mark.parametrize("at", ["decisions", "sessions"])
@pytest.mark.parametrize("touch", ["close", "range"])
def test_rows_fit_their_contract_and_every_kind_has_values(bars, at, touch):
    frame = cast_to_contract(labels(bars, configured(at=at, touch=touch)), contracts.LABELS)
    assert violations(frame, contracts.LABELS).is_empty()
    assert frame.equals(frame.sort(KEY))
    assert set(frame["label"]) == {
        "forward_return_1", "forward_return_5", "forward_return_21", "triple_barrier",
        "trend_scanning", "meta_momentum",
    }  # fmt: skip
    by_kind = frame.group_by("label").agg(pl.col("value", "average_uniqueness").count())
    assert by_kind["value"].min() > 20
    assert by_kind["average_uniqueness"].min() > 20
    n_sessions = frame["ts"].n_unique()
    assert n_sessions == (400 if at == "sessions" else timeline.decision_times(bars["ts"], "week").len())  # fmt: skip


def test_forward_returns_are_those_the_forecasts_are_trained_on(bars):
    frame = labels(bars, configured()).filter(label="forward_return_5")
    expected = timeline.forward_returns(bars, 5).rename({"label": "expected"})
    both = frame.join(expected, on=["universe", "symbol", "ts"])
    assert both.height == frame.height
    assert both["value"].equals(both["expected"])
    known = both.drop_nulls("value")
    for name in ("label_start_ts", "label_end_ts"):
        assert known[name].equals(known[f"{name}_right"])


def test_labels_that_do_not_overlap_are_unique(bars):
    # Weekly decisions with paths of one session never meet.
    frame = labels(bars, configured()).filter(label="forward_return_1").drop_nulls("value")
    assert frame["average_uniqueness"].min() == 1
    daily = labels(bars, configured(at="sessions")).filter(label="forward_return_5", symbol="S00")
    middle = daily.drop_nulls("value")[50:300]["average_uniqueness"]
    assert middle.min() == pytest.approx(1 / 5)
    assert middle.max() == pytest.approx(1 / 5)


def test_labels_of_the_last_bars_are_null(bars):
    frame = labels(bars, configured(at="sessions")).filter(symbol="S00")
    sessions = bars["ts"].unique().sort()
    for kind, horizon in (
        ("forward_return_5", 5),
        ("forward_return_21", 21),
        ("trend_scanning", 21),
    ):
        values = frame.filter(label=kind)
        unknown = values.filter(pl.col("value").is_null())
        assert unknown["ts"].to_list() == sessions[400 - horizon - 1 :].to_list()
        assert unknown["known_at"].null_count() == unknown.height
    last = frame.filter(ts=sessions[-1])
    assert last["value"].null_count() == last["label_start_ts"].null_count() == last.height


def test_cut_anywhere_known_labels_stay_and_others_are_null(bars):
    config = configured(at="sessions", touch="range")
    full = labels(bars, config)
    for cut in bars["ts"].unique().sort()[5::13]:
        fresh = labels(bars.filter(pl.col("known_at") <= cut), config)
        both = full.filter(pl.col("ts") <= cut).join(fresh, on=KEY, suffix="_cut")
        assert both.height == fresh.height
        known = both.filter(pl.col("known_at") <= cut)
        for name in (*JUDGED, "label_end_ts", "known_at", "span_sessions"):
            assert known[name].equals(known[f"{name}_cut"].alias(name)), name
        later = both.filter((pl.col("known_at") > cut).fill_null(True))
        assert later["value_cut"].null_count() == later.height


def test_a_bar_that_was_known_late_holds_its_labels_back(bars):
    sessions = bars["ts"].unique().sort()
    late = sessions[100] + dt.timedelta(days=90)
    moved = bars.with_columns(
        known_at=pl.when((pl.col("symbol") == "S00") & (pl.col("ts") == sessions[100]))
        .then(pl.lit(late))
        .otherwise("known_at")
    )
    frame = labels(moved, configured(at="sessions")).filter(label="forward_return_5", symbol="S00")
    held = frame.filter(known_at=late)["ts"].to_list()
    # The bar is decision, fill, path or end of these.
    assert held == sessions[94:101].to_list()


def _outcome(frame, bars, config):
    context = CheckContext({"features.labels": frame}, {"bars": bars}, config)
    (outcome,) = KNOWN_AT_ITS_END.answer(context)
    return outcome


def test_the_check_passes_labels_and_refuses_leaks(bars):
    config = configured()
    frame = labels(bars, config)
    assert _outcome(frame, bars, config).passed
    assert _outcome(frame.clear(), bars, config).passed
    early = frame.with_columns(known_at=pl.col("label_start_ts"))
    assert not _outcome(early, bars, config).passed
    shifted = frame.with_columns(pl.col("value").shift(-1).over("symbol", "label"))
    assert not _outcome(shifted, bars, config).passed


def test_bad_bars_give_labels_or_null(bars):
    config = configured()
    constant = bars.with_columns(pl.lit(5.0).alias(n) for n in ("adj_close", "adj_high", "adj_low"))
    frame = labels(constant, config)
    still = frame.filter(label="triple_barrier")
    assert still["value"].null_count() == still.height  # no volatility, no barriers
    assert frame.filter(label="trend_scanning")["value"].drop_nulls().unique().to_list() == [0]
    for spoilt in (bars.clear(), bars.head(1), bars.filter(pl.col("symbol") == "absent")):
        frame = cast_to_contract(labels(spoilt, config), contracts.LABELS)
        assert violations(frame, contracts.LABELS).is_empty()
        assert frame["value"].null_count() == frame.height
    broken = bars.with_columns(
        adj_close=pl.when(pl.int_range(pl.len()) % 17 == 0)
        .then(float("nan"))
        .otherwise("adj_close")
    )
    frame = cast_to_contract(labels(broken, config), contracts.LABELS)
    assert violations(frame, contracts.LABELS).is_empty()


#: Declares the table of labels; lays labels beside decisions for a fit; checks that table again.
TEACHES = ("features/assets.py", "models/labels.py", "models/gates.py")


@pytest.mark.parametrize("room", ["features", "regimes", "portfolio", "risk", "agents", "models"])
def test_nothing_a_forecast_comes_from_imports_labels(room, pytestconfig):
    package = pytestconfig.rootpath / "btq_assets"
    found = []
    for file in sorted((package / room).rglob("*.py")):
        inside = file.relative_to(package)
        if inside.parts[:2] == ("features", "labels") or str(inside) in TEACHES:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            )  # fmt: skip
            found += [
                str(inside) for name in names if name.startswith("btq_assets.features.labels")
            ]
    assert not found
