"""Tables of target weights: what each reads, what it refuses, and that nothing comes from later."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import portfolio as tables
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.checks import CheckContext
from btq_assets.evidence.truncation import truncation_check
from btq_assets.portfolio import PortfolioError, PricePanel, baselines, hierarchical, kelly, ranks
from btq_assets.portfolio.panel import forecast_matrix
from btq_assets.timeline import forward_returns


def rank(case, **changes):
    arguments = {"forecasts": case.forecasts, "bars": case.bars, "states": case.states, **changes}
    return ranks.rank_targets(
        arguments["forecasts"], arguments["bars"], arguments["states"], case.config
    )


def computations(case):
    config = case.config
    models = list(case.forecasts)

    def forecasts(inputs):
        return {model: inputs[model] for model in models}

    return {
        tables.TARGETS_RANK: lambda i, c: ranks.rank_targets(
            forecasts(i), i["bars"], i["states"], config
        ),
        tables.TARGETS_KELLY: lambda i, c: kelly.kelly_targets(forecasts(i), i["bars"], config),
        tables.TARGETS_HRP: lambda i, c: hierarchical.hrp_targets(i["bars"], i["splits"], config),
        tables.TARGETS_BASELINES: lambda i, c: baselines.baseline_targets(
            i["bars"], i["splits"], config
        ),
    }


def inputs_of(case):
    return {**case.forecasts, "bars": case.bars, "states": case.states, "splits": case.splits}


def test_every_table_fits_its_contract_limits_and_decisions(case):
    for contract, compute in computations(case).items():
        frame = compute(inputs_of(case), case.config)
        assert violations(cast_to_contract(frame, contract), contract).is_empty()
        assert frame["weight"].min() >= 0
        assert frame["weight"].max() <= 0.5 + 1e-12
        gross = frame.group_by("strategy", "ts").agg(pl.col("weight").sum())["weight"]
        assert gross.max() <= 1 + 1e-12
        once = frame.filter(pl.col("strategy") == "buy_and_hold")["ts"].unique()
        assert once.to_list() in ([], [case.decisions[0]])
        rest = frame.filter(pl.col("strategy") != "buy_and_hold")
        assert rest["ts"].unique().sort().to_list() == case.decisions.to_list()


def test_nothing_comes_from_later_at_any_decision(case):
    # Exhaustive: cut at every decision, recompute from scratch, compare everything before.
    inputs = inputs_of(case)
    for contract, compute in computations(case).items():
        check = truncation_check(contract, compute, n_dates=10_000)
        if contract is tables.TARGETS_HRP:
            check = truncation_check(contract, compute, n_dates=6)
        frames = {contract.table: compute(inputs, case.config)}
        (outcome,) = check.answer(CheckContext(frames, inputs, case.config))
        assert outcome.passed, outcome.message


def test_a_leak_is_caught(case):
    compute = computations(case)[tables.TARGETS_RANK]

    def leaking(inputs, config):
        states = inputs["states"].with_columns(pl.col("state").shift(-1, fill_value="calm"))
        return compute({**inputs, "states": states}, config)

    inputs = inputs_of(case)
    frames = {tables.TARGETS_RANK.table: leaking(inputs, case.config)}
    check = truncation_check(tables.TARGETS_RANK, leaking, n_dates=10_000)
    (outcome,) = check.answer(CheckContext(frames, inputs, case.config))
    assert not outcome.passed
    assert "not yet known" in outcome.message


def test_since_leaves_later_decisions_as_they_are(case):
    since = case.decisions[-5]
    whole = rank(case).filter(pl.col("ts") >= since)
    part = ranks.rank_targets(case.forecasts, case.bars, case.states, case.config, since=since)
    assert part.equals(whole)
    whole = kelly.kelly_targets(case.forecasts, case.bars, case.config)
    part = kelly.kelly_targets(case.forecasts, case.bars, case.config, since=since)
    assert part.equals(whole.filter(pl.col("ts") >= since))


def test_strategies_follow_the_variants_there_are(case):
    assert sorted(rank(case)["strategy"].unique()) == [
        "blend", "lightgbm", "lightgbm_macro", "ridge", "ridge_macro", "transformer_gnn",
    ]  # fmt: skip
    base = {m: f.filter(pl.col("variant") == "base") for m, f in case.forecasts.items()}
    assert sorted(rank(case, forecasts=base)["strategy"].unique()) == [
        "blend", "lightgbm", "ridge", "transformer_gnn",
    ]  # fmt: skip


def test_renaming_symbols_permutes_weights(case):
    names = {"S00": "S03", "S01": "S02", "S02": "S01", "S03": "S00"}
    swap = pl.col("symbol").replace_strict(names)
    swapped = {m: f.with_columns(swap) for m, f in case.forecasts.items()}
    key = ["strategy", "symbol", "ts"]
    for before, after in (
        (rank(case), rank(case, forecasts=swapped, bars=case.bars.with_columns(swap))),
        (
            kelly.kelly_targets(case.forecasts, case.bars, case.config),
            kelly.kelly_targets(swapped, case.bars.with_columns(swap), case.config),
        ),
    ):
        back = before.with_columns(swap).sort(key)
        assert after.sort(key)["weight"].to_numpy() == pytest.approx(
            back["weight"].to_numpy(), abs=1e-9
        )


def test_turbulence_halves_exposure_and_nothing_later_does(case):
    def all_states(state, since=None):
        states = case.states.with_columns(state=pl.lit(state))
        if since is not None:
            states = states.with_columns(
                state=pl.when(pl.col("ts") > since).then(pl.lit("turbulent")).otherwise("state")
            )
        return rank(case, states=states)

    calm, turbulent = all_states("calm"), all_states("turbulent")
    assert turbulent["weight"].to_numpy() == pytest.approx(0.5 * calm["weight"].to_numpy())
    assert rank(case, states=None).equals(calm)
    at = case.decisions[10]
    mixed = all_states("calm", since=at)
    assert mixed.filter(pl.col("ts") <= at).equals(calm.filter(pl.col("ts") <= at))
    assert mixed.filter(pl.col("ts") > at).equals(turbulent.filter(pl.col("ts") > at))


def test_bad_input_is_named(case):
    stranger = case.forecasts["ridge"].with_columns(
        symbol=pl.when(pl.col("symbol") == "S00").then(pl.lit("NOPE")).otherwise("symbol")
    )
    with pytest.raises(PortfolioError, match="NOPE"):
        rank(case, forecasts={**case.forecasts, "ridge": stranger})
    infinite = case.forecasts["ridge"].with_columns(forecast=pl.lit(float("inf")))
    with pytest.raises(PortfolioError, match="infinite forecast"):
        rank(case, forecasts={**case.forecasts, "ridge": infinite})
    gone = case.forecasts["ridge"].filter(pl.col("ts") != case.decisions[3])
    for compute in (rank, lambda c, forecasts: kelly.kelly_targets(forecasts, c.bars, c.config)):
        with pytest.raises(PortfolioError, match="same dates"):
            compute(case, forecasts={**case.forecasts, "ridge": gone})
    with pytest.raises(PortfolioError, match="no base forecast"):
        rank(case, forecasts={**case.forecasts, "ridge": case.forecasts["ridge"].clear()})
    with pytest.raises(PortfolioError, match="no state of scope"):
        rank(case, states=case.states.with_columns(scope=pl.lit("other")))
    with pytest.raises(PortfolioError, match="no bars of universe 'us20'"):
        PricePanel.from_bars(case.bars, "us20")
    with pytest.raises(PortfolioError, match="not positive"):
        PricePanel.from_bars(case.bars.with_columns(adj_close=-pl.col("adj_close")), "test")
    late = case.bars.filter(pl.col("ts") >= case.decisions[0])
    with pytest.raises(PortfolioError, match="covariance_window_sessions"):
        rank(case, bars=late)
    none = case.splits.with_columns(universe=pl.lit("other"))
    with pytest.raises(PortfolioError, match="no decision falls in a test segment"):
        baselines.baseline_targets(case.bars, none, case.config)


def test_too_little_history_means_no_weight_and_no_row_before_listing(case):
    # S03 is listed 80 sessions before the last decision: rows from then on, weight only after 60.
    sessions = case.bars["ts"].unique().sort()
    listing = sessions[320]
    bars = case.bars.filter((pl.col("symbol") != "S03") | (pl.col("ts") >= listing))
    forecasts = {
        m: f.filter((pl.col("symbol") != "S03") | (pl.col("ts") >= listing))
        for m, f in case.forecasts.items()
    }
    own = rank(case, bars=bars, forecasts=forecasts).filter(
        (pl.col("symbol") == "S03") & (pl.col("strategy") == "ridge")
    )
    assert own["ts"].min() >= listing
    assert (own.filter(pl.col("ts") < sessions[320 + 60])["weight"] == 0).all()
    assert own.filter(pl.col("ts") >= sessions[320 + 60])["weight"].max() > 0
    # 1/N holds it as soon as it has a price, and nobody holds it once its prices have stopped.
    ended = bars.filter((pl.col("symbol") != "S03") | (pl.col("ts") < sessions[390]))
    even = baselines.baseline_targets(ended, case.splits, case.config).filter(
        (pl.col("symbol") == "S03") & (pl.col("strategy") == "one_over_n")
    )
    held = pl.col("ts") < sessions[390]
    assert (even.filter(held)["weight"] == 0.25).all()
    assert (even.filter(~held)["weight"] == 0).all()


def test_a_bar_published_late_is_not_used_early(case):
    # The last price of S00 before a decision is published a day after it: unknown at the decision.
    at = case.decisions[8]
    late = case.bars.with_columns(
        known_at=pl.when((pl.col("symbol") == "S00") & (pl.col("ts") == at))
        .then(pl.col("known_at") + dt.timedelta(hours=12))
        .otherwise("known_at")
    )
    frame = rank(case, bars=late).filter((pl.col("symbol") == "S00") & (pl.col("ts") >= at))
    ridge = frame.filter(pl.col("strategy") == "ridge").sort("ts")["weight"]
    untouched = rank(case).filter(
        (pl.col("symbol") == "S00") & (pl.col("ts") > at) & (pl.col("strategy") == "ridge")
    )["weight"]
    assert ridge[0] == 0
    assert ridge[1:].to_list() == pytest.approx(untouched.to_list())


def test_calibration_uses_filled_labels_only_and_matches_a_regression(case):
    panel = PricePanel.from_bars(case.bars, "test")
    rows, scores = forecast_matrix(
        case.forecasts["ridge"], panel, variant="base", horizon_sessions=5
    )
    # Forecasts that carry some signal, so that slopes are inside (0, 1).
    labels = forward_returns(case.bars, 5)
    wide = labels.pivot(on="symbol", index="ts", values="label").sort("ts")
    ends = labels.filter(pl.col("symbol") == "S00").sort("ts")["label_end_ts"].to_list()
    truth = wide.select(panel.symbols).to_numpy()[rows]
    scores = scores + 0.8 * np.nan_to_num(truth)
    slopes = kelly.calibration_slopes(panel, rows, scores, 5)
    for k, row in enumerate(rows):
        ts = panel.stamps(np.array([row]))[0]
        past = [j for j in range(k) if ends[rows[j]] is not None and ends[rows[j]] <= ts]
        if not past:
            assert slopes[k] == 0
            continue
        x = (scores[past] - scores[past].mean(axis=1, keepdims=True)).ravel()
        y = (truth[past] - truth[past].mean(axis=1, keepdims=True)).ravel()
        ols = np.linalg.lstsq(x[:, None], y, rcond=None)[0][0]
        shrunk = ols * len(past) / (len(past) + kelly.PRIOR_DECISIONS)
        assert slopes[k] == pytest.approx(np.clip(shrunk, 0, 1))
    assert 0 < slopes[-1] < 1
    assert (kelly.calibration_slopes(panel, rows, -scores, 5) == 0).all()


def test_universe_mean_by_hand_with_and_without_late_bars(case):
    panel = PricePanel.from_bars(case.bars, "test")
    rows = np.array([5, 200, 399])
    daily = (panel.prices[1:] / panel.prices[:-1] - 1).mean(axis=1)
    expected = [daily[:row].mean() for row in rows]
    assert kelly.mean_universe_return(panel, rows) == pytest.approx(expected)
    known = np.broadcast_to(panel.ts_us[:, None], panel.prices.shape).copy()
    slow = PricePanel(panel.universe, panel.symbols, panel.ts_us, panel.prices, known)
    assert kelly.mean_universe_return(slow, rows) == pytest.approx(expected)


def test_hrp_is_refitted_at_the_first_decision_of_each_month(case):
    # Unequal volatilities, or the shrunk covariance may be the same multiple of identity twice.
    power = pl.col("symbol").str.slice(1).cast(pl.Float64) + 1
    bars = case.bars.with_columns(pl.col("adj_close").pow(power))
    frame = hierarchical.hrp_targets(bars, case.splits, case.config)
    wide = frame.pivot(on="symbol", index="ts", values="weight").sort("ts")
    values, months = wide.drop("ts").to_numpy(), wide["ts"].dt.truncate("1mo")
    moved = (np.abs(np.diff(values, axis=0)) > 1e-12).any(axis=1)
    new_month = (months[1:] != months[:-1]).to_numpy()
    assert moved.tolist() == new_month.tolist()


def test_baselines_by_hand(case):
    frame = baselines.baseline_targets(case.bars, case.splits, case.config)
    prices = case.bars.pivot(on="symbol", index="ts", values="adj_close").sort("ts")
    rows = [prices["ts"].to_list().index(at) for at in case.decisions]
    values = prices.drop("ts").to_numpy()
    weights = {
        name: group.sort("ts", "symbol")["weight"].to_numpy().reshape(-1, 4)
        for (name,), group in frame.group_by("strategy")
    }
    for k, row in enumerate(rows):
        growth = values[row - 21] / values[row - 252] - 1
        best_two = np.isin(np.arange(4), np.argsort(growth)[-2:])
        assert weights["momentum_12_1"][k] == pytest.approx(0.5 * best_two)
    assert weights["one_over_n"] == pytest.approx(0.25)
    assert weights["one_over_n_60_cash_40"] == pytest.approx(0.15)
    assert weights["risk_parity"].sum(axis=1) == pytest.approx(1)
    assert weights["buy_and_hold"].tolist() == [[0.25] * 4]


def test_more_tilt_moves_weight_to_the_best(case):
    best = []
    for tilt in (0.0, 0.5, 1.0):
        config = TradingConfig(
            universe={"main": "test"},
            trading={"max_position_size": 1.0},
            portfolio={
                "covariance_window_sessions": 60,
                "rank_tilt": tilt,
                "target_volatility_annual": 1.0,
            },
        )
        frame = ranks.rank_targets(case.forecasts, case.bars, None, config)
        own = frame.filter(pl.col("strategy") == "ridge")
        best.append(own.group_by("ts").agg(pl.col("weight").max())["weight"].mean())
    # Largest of 4 assets: 1/4, and 2 * 3 / (4 * 3) = 1/2 at full tilt.
    assert best == pytest.approx([0.25, 0.375, 0.5])
