"""Promised figures beside what the benchmarks wrote: verdicts by hand, and records that lie."""

from __future__ import annotations

import json
from importlib import resources

import polars as pl
import pytest

from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.figures import FIGURES
from btq_assets.evidence.figures.promised import PROMISES, FigureError, figures


def line(figure: str, value: float, **more: object) -> str:
    said = {
        "figure": figure, "value": value, "commit": "abc1234", "clean": True, "cores": 2,
        "load": 0.4, "measured_at": "2026-11-23T10:00:00+00:00",
    }  # fmt: skip
    return json.dumps(said | more)


def verdicts(*lines: str) -> dict[str, str]:
    return dict(figures("\n".join(lines)).select("figure", "verdict").iter_rows())


def test_verdicts_follow_from_the_last_line_of_each_figure():
    found = verdicts(
        line("startup_seconds", 1.6),
        line("startup_seconds", 1.5),
        line("resampling_rate", 4.9e6),
        "",
    )
    # At most 1.5 s: the last line keeps it. At least 5 M bars a second: 4.9 M do not.
    assert found["startup_seconds"] == "met"
    assert found["resampling_rate"] == "missed"
    assert found["storing_ratio"] == "not measured"
    assert found["inference_time"] == "not built"


def test_every_promise_is_a_row_and_none_is_impossible():
    table = figures(line("session_share", 0.083))
    assert set(table["figure"]) == {promise.figure for promise in PROMISES}
    assert violations(cast_to_contract(table, FIGURES), FIGURES).is_empty()


@pytest.mark.parametrize(
    ("verdict", "measured"), [("met", 1.6), ("met", None), ("missed", 1.5), ("not measured", 1.0)]
)
def test_a_verdict_that_does_not_follow_is_refused(verdict, measured):
    table = figures(line("startup_seconds", 1.0)).filter(figure="startup_seconds")
    forged = table.with_columns(
        verdict=pl.lit(verdict), measured=pl.lit(measured, dtype=pl.Float64)
    )
    assert violations(table, FIGURES).is_empty()
    assert violations(forged, FIGURES).height == 1


@pytest.mark.parametrize(
    "said", ["{", '"text"', line("sharpe", 3.0), line("inference_time", 1.0), '{"figure": "x"}']
)
def test_a_record_that_cannot_be_is_named_with_its_line(said):
    with pytest.raises(FigureError, match="line 2"):
        figures("\n" + said)


def test_the_packaged_record_can_be_read():
    record = resources.files("btq_assets.evidence.figures").joinpath("measured.jsonl").read_text()
    assert violations(figures(record), FIGURES).is_empty()
