"""From feature to weight: the chain is that of the targets, contributions are what they are worth."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import models
from btq_assets.contracts import portfolio as tables
from btq_assets.contracts.checks import CheckContext
from btq_assets.portfolio.panel import PortfolioError
from btq_assets.portfolio.ranks import rank_targets, weight_steps
from btq_assets.portfolio.reasons import adds_up, parts_of_scores, weight_reasons


def explained(case) -> pl.DataFrame:
    """Rows of ``models.explanations`` whose parts are chosen by hand: 60 %, 50 %, and a baseline."""
    frames = []
    for model, forecasts in case.forecasts.items():
        last = forecasts.filter(pl.col("ts") == pl.col("ts").max())
        for name, part, share in (
            ("forecast", "total", 1.0), ("baseline", "total", -0.1),
            ("one", "feature", 0.6), ("two", "feature", 0.5),
        ):  # fmt: skip
            frames.append(
                last.with_columns(
                    model=pl.lit(model),
                    part=pl.lit(part),
                    name=pl.lit(name),
                    value=share * pl.col("forecast"),
                ).select(models.EXPLANATIONS.column_names)
            )
    return pl.concat(frames)


@pytest.fixture
def found(case):
    targets = rank_targets(case.forecasts, case.bars, case.states, case.config)
    made = weight_reasons(
        case.forecasts, explained(case), targets, case.bars, case.states, case.config
    )
    return targets, *made


def context(reasons, contributions) -> CheckContext:
    frames = {
        tables.WEIGHT_REASONS.table: reasons,
        tables.WEIGHT_CONTRIBUTIONS.table: contributions,
    }
    return CheckContext(frames, {}, None)


def test_the_chain_ends_at_the_targets_of_the_last_decision(case, found):
    targets, reasons, contributions = found
    last = targets.filter(pl.col("ts") == targets["ts"].max())
    both = reasons.join(last, on=["strategy", "universe", "symbol", "ts"], suffix="_target")
    assert both.height == last.height == reasons.height
    np.testing.assert_allclose(both["weight_explained"], both["weight_target"], atol=1e-12)
    assert adds_up(context(reasons, contributions)).passed
    # By hand: the rank of the mean forecast over seeds, and the tilted weight of that rank.
    forecasts = case.forecasts["ridge"]
    own = forecasts.filter((pl.col("ts") == pl.col("ts").max()) & (pl.col("variant") == "base"))
    mean = own.group_by("symbol").agg(pl.col("forecast").mean()).sort("forecast")
    ridge = reasons.filter((pl.col("strategy") == "ridge") & pl.col("rank").is_not_null())
    n = ridge.height
    by_hand = {symbol: place + 1 for place, symbol in enumerate(mean["symbol"])}
    if n == mean.height:
        for row in ridge.iter_rows(named=True):
            assert row["rank"] == by_hand[row["symbol"]]
            tilted = 2 * (row["rank"] - 1) / n / (n - 1)
            assert row["weight_ranked"] == pytest.approx(tilted)


def test_parts_sum_to_the_score_and_are_worth_the_weight_they_change(case, found):
    _, reasons, contributions = found
    ridge = contributions.filter(pl.col("strategy") == "ridge")
    total = ridge.group_by("symbol").agg(pl.col("contribution").sum())
    both = reasons.filter(pl.col("strategy") == "ridge").join(total, on="symbol")
    np.testing.assert_allclose(both["contribution"], both["score"], atol=1e-12)
    assert set(ridge["name"]) == {"one", "two", "baseline"}
    # By hand: the asset falls or rises among the scores of the others, which stay.
    scored = reasons.filter((pl.col("strategy") == "ridge") & pl.col("rank").is_not_null())
    scores = dict(scored.select("symbol", "score").iter_rows())
    weights = dict(scored.select("symbol", "weight").iter_rows())
    ranks = set()
    for row in ridge.filter(pl.col("name") != "baseline").iter_rows(named=True):
        others = [score for symbol, score in scores.items() if symbol != row["symbol"]]
        left = scores[row["symbol"]] - row["contribution"]
        assert row["rank_without"] == 1 + sum(score < left for score in others)
        ranks.add(row["rank_without"])
        change = weights[row["symbol"]] - row["weight_without"]
        assert row["weight_change"] == pytest.approx(change)
    assert len(ranks) > 1
    assert contributions["weight_change"].abs().max() > 0.05
    assert ridge.filter(pl.col("name") == "baseline")["weight_change"].null_count() > 0


def test_the_blend_is_made_of_its_models(found):
    _, reasons, contributions = found
    blend = contributions.filter(pl.col("strategy") == "blend")
    assert set(blend["name"]) == {"ridge", "lightgbm", "transformer_gnn"}
    total = blend.group_by("symbol").agg(pl.col("contribution").sum())
    both = reasons.filter(pl.col("strategy") == "blend").join(total, on="symbol")
    np.testing.assert_allclose(both["contribution"], both["score"], atol=1e-12)


def test_another_weight_and_another_part_are_refused(found):
    _, reasons, contributions = found
    own = (pl.col("strategy") == "ridge") & (pl.col("symbol") == reasons["symbol"][0])
    other = reasons.with_columns(
        weight=pl.when(own).then(pl.col("weight") + 0.01).otherwise("weight")
    )
    refused = adds_up(context(other, contributions))
    assert not refused.passed
    assert "the chain of" in refused.message
    moved = pl.col("contribution") + 0.01
    part = own & (pl.col("name") == "one")
    wrong = contributions.with_columns(
        contribution=pl.when(part).then(moved).otherwise("contribution")
    )
    refused = adds_up(context(reasons, wrong))
    assert not refused.passed
    assert "in ridge sum to" in refused.message
    assert not adds_up(context(reasons.clear(), contributions)).passed
    unexplained = contributions.filter(pl.col("strategy") != "ridge")
    assert "no explanation of ridge" in adds_up(context(reasons, unexplained)).message


def test_targets_of_another_decision_are_named(case, found):
    targets = found[0].filter(pl.col("ts") < pl.col("ts").max())
    with pytest.raises(PortfolioError, match="has no weights of"):
        weight_reasons(
            case.forecasts, explained(case), targets, case.bars, case.states, case.config
        )


def test_parts_beyond_the_largest_stand_together():
    rows = pl.DataFrame(
        {"symbol": ["A"] * 9, "name": [*"abcdefgh", "baseline"], "contribution": [8.0, 7, 6, 5, 4, 3, 2, 1, 0]}
    )  # fmt: skip
    names, matrix = parts_of_scores(rows, ["A"])
    assert names == ("a", "b", "c", "d", "e", "f", "all others")
    np.testing.assert_allclose(matrix, [[8, 7, 6, 5, 4, 3, 3]])


def test_steps_are_the_rules_one_after_the_other(case):
    """Two assets without risk to speak of: rank, cap at the limit, gross limit, exposure."""
    steps = weight_steps(np.array([0.1, 0.2, np.nan]), 1e-8 * np.eye(3), 0.5, case.config)
    limit = case.config.trading.max_position_size
    np.testing.assert_allclose(steps.ranked, [0, 1, 0])
    np.testing.assert_allclose(steps.capped, [0, limit, 0])
    np.testing.assert_allclose(steps.limited, [0, limit, 0])
    np.testing.assert_allclose(steps.weight, [0, limit / 2, 0])
    assert np.isnan(steps.rank[2])
