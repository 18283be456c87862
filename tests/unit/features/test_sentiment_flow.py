"""Sentiment flow: decays by hand, sources and repeats, and the sums of `sentiment` again."""

from __future__ import annotations

import datetime as dt
import math

import polars as pl
import pytest
from alternative_frames import rows_of
from polars.testing import assert_frame_equal

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts
from btq_assets.contracts.checks import CheckContext
from btq_assets.features import sentiment, sentiment_flow
from btq_assets.features.checks import truncation_gate
from btq_assets.sources.sentiment import scored

START = dt.datetime(2010, 1, 4, 21, tzinfo=dt.UTC)


def _scores(*rows: tuple[float, float | None], repeats: tuple[int, ...] = (), **columns: object):
    """Documents about S00: days after the first close at which each was known, and its score."""
    return rows_of(
        contracts.DOCUMENT_SCORES,
        [
            {
                "doc_id": f"d{k}", "symbol": "S00", "known_at": START + dt.timedelta(days=day),
                "score": score, "is_repeat": k in repeats, "label": "REAL", "source": f"source {k % 2}",
                **columns,
            }
            for k, (day, score) in enumerate(rows)
        ],
    )  # fmt: skip


def test_two_stories_decay_by_each_half_life(make_bars):
    frame = sentiment_flow.compute(make_bars(1, 30), _scores((0, 0.8), (3, -0.4)))
    for half_life in (1, 5, 21):
        old = 2.0 ** (-3 / half_life)
        volume, score = (
            frame[f"sentiment_flow_{name}_{half_life}"][3] for name in ("volume", "score")
        )
        assert volume == pytest.approx(1 + old)
        assert score == pytest.approx((-0.4 + 0.8 * old) / (1 + old))
    row = frame.row(3, named=True)
    assert row["sentiment_flow_momentum"] == pytest.approx(
        row["sentiment_flow_score_1"] - row["sentiment_flow_score_21"]
    )
    # Weighted deviation of two values: their distance times sqrt(w1 w2) / (w1 + w2).
    old = 2.0 ** (-3 / 21)
    spread = 1.2 * math.sqrt(old) / (1 + old)
    assert row["sentiment_flow_dispersion_21"] == pytest.approx(spread)
    # Each is its source's only story, so that sources differ as much as stories do.
    assert row["sentiment_flow_disagreement_21"] == pytest.approx(spread)
    assert frame["sentiment_flow_disagreement_21"][2] is None
    assert row["sentiment_flow_attention"] == pytest.approx(
        (1 + 2.0**-3) * 0.5 / ((1 + old) * (1 - 2 ** (-1 / 21)))
    )


def test_a_steady_flow_has_attention_one(make_bars):
    scores = _scores(*((day, 0.1) for day in range(400)))
    frame = sentiment_flow.compute(make_bars(1, 280), scores)
    # A story a day, weekends' with the next session: about 7 / 5 a session at both half-lives.
    assert frame["sentiment_flow_attention"][-5:].mean() == pytest.approx(1.0, abs=0.02)
    assert frame["sentiment_flow_change_21d"][-1] == pytest.approx(0, abs=1e-12)


def test_repeats_count_for_novelty_only(make_bars):
    scores = _scores((0, 0.5), (0, -0.9), (0, 0.5), (0, None), repeats=(1, 2))
    row = sentiment_flow.compute(make_bars(1, 5), scores).row(0, named=True)
    assert row["sentiment_flow_score_5"] == pytest.approx(0.5)
    assert row["sentiment_flow_volume_5"] == pytest.approx(1)
    assert row["sentiment_flow_novelty_5"] == pytest.approx(1 / 3)


def test_a_score_fades_into_null(make_bars):
    frame = sentiment_flow.compute(make_bars(1, 10), _scores((0, 0.5)))
    # 2^-5 > 0.03 > 2^-6.
    assert frame["sentiment_flow_score_1"].is_not_null().to_list() == [True] * 6 + [False] * 4
    assert frame["sentiment_flow_score_21"].null_count() == 0


def test_the_sums_are_those_of_the_sentiment_family(world, config):
    # The same documents and half-life by another path: as-of sums there, documents placed here.
    scores = scored.score(world["documents"])
    there = sentiment.compute(world["bars"], scores, config.features)
    here = sentiment_flow.compute(world["bars"], scores, config.features)
    renamed = here.select(
        "universe", "symbol", "ts",
        sentiment_score="sentiment_flow_score_5", sentiment_change_5d="sentiment_flow_change_5d",
        sentiment_volume="sentiment_flow_volume_5", is_synthetic="is_synthetic",
    )  # fmt: skip
    assert_frame_equal(renamed, there.select(renamed.columns), rel_tol=1e-9, abs_tol=1e-12)


def test_rows_behind_which_a_document_is_generated_say_so(make_bars):
    scores = pl.concat([_scores((0, 0.5)), _scores((2, 0.5), label="SYNTHETIC")])
    frame = sentiment_flow.compute(make_bars(1, 5), scores)
    assert frame["is_synthetic"].to_list() == [False, False, True, True, True]


def test_switched_off_there_are_no_rows(world):
    scores = scored.score(world["documents"])
    off = TradingConfig(use_sentiment=False)
    assert sentiment_flow.compute(world["bars"], scores, off.features).is_empty()
    assert sentiment_flow.compute(world["bars"], scores.clear()).is_empty()


def _when_published(inputs, config):
    """The leak: a document counts from its publication, a day before it was known."""
    early = inputs["scores"].with_columns(known_at=pl.col("known_at").dt.offset_by("-1d"))
    return sentiment_flow.compute_from({**inputs, "scores": early}, config)


def test_a_document_before_it_was_known_is_caught(world):
    config = TradingConfig(features={"truncation_dates": 20})
    inputs = {**world, "scores": scored.score(world["documents"])}
    for compute, passes in ((_when_published, False), (sentiment_flow.compute_from, True)):
        frame = compute(inputs, config)
        gate = truncation_gate(contracts.SENTIMENT_FLOW, compute)
        (outcome,) = gate.answer(CheckContext({"features.sentiment_flow": frame}, inputs, config))
        assert outcome.passed == passes, outcome.message
