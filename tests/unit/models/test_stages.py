"""Stages of models: nobody becomes champion but through the verdict and the gates."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from btq_assets.contracts import evidence
from btq_assets.contracts import models as tables
from btq_assets.evidence.gates import GateAnswer, gate_rows
from btq_assets.evidence.verdict import CandidateVerdict, Verdict
from btq_assets.models import stages as room

DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def day(number: int) -> dt.datetime:
    return DAY + dt.timedelta(days=number)


def registered(model_id: str, model: str, *, fold: int = 3, seed: int = 0, at: int = 0) -> dict:
    made = dict.fromkeys(tables.REGISTRY.column_names, "")
    stamps = {"fitted_from": DAY, "fitted_until": DAY, "registered_at": day(at)}
    return {**made, **stamps, "model_id": model_id, "model": model, "variant": "base"} | {
        "fold": fold,
        "seed": seed,
    }


REGISTRY = pl.DataFrame(
    [
        registered("r2", "ridge", fold=2),
        registered("r3-old", "ridge", at=0),
        registered("r3", "ridge", at=5),
        registered("t3-0", "transformer_gnn"),
        registered("t3-1", "transformer_gnn", seed=1),
    ],
    schema=tables.REGISTRY.schema,
)


def judged(**survives: bool) -> Verdict:
    return Verdict(
        "",
        tuple(name for name, one in survives.items() if one),
        12,
        tuple(
            CandidateVerdict(name, one, () if one else ("mean return is not above risk_parity",))
            for name, one in survives.items()
        ),
    )


def answers(*given: tuple[str, str, bool, int]) -> pl.DataFrame:
    rows = [
        gate_rows([GateAnswer(who, gate, passed, "found")], run_id=f"r{at}", recorded_at=day(at))
        for who, gate, passed, at in given
    ]
    return pl.concat([evidence.GATES.empty(), *rows])


PASSED = answers(
    ("ridge", "deflated_sharpe", True, 1), ("transformer_gnn", "deflated_sharpe", True, 1)
)


def changes(verdict: Verdict, gates: pl.DataFrame, ledger: pl.DataFrame | None = None, at: int = 9):
    before = tables.STAGES.empty() if ledger is None else ledger
    return room.stage_changes(REGISTRY, before, verdict, gates, run_id="run", at=day(at))


def said(rows: pl.DataFrame) -> list[tuple]:
    return sorted(rows.select("model_id", "strategy", "stage").iter_rows())


def test_survivors_make_their_newest_fits_champions() -> None:
    found = changes(judged(ridge=True, transformer_gnn=True), PASSED)
    assert found.schema == tables.STAGES.schema
    assert said(found) == [
        ("r3", "ridge", "champion"),
        ("t3-0", "transformer_gnn", "champion"),
        ("t3-1", "transformer_gnn", "champion"),
    ]
    assert changes(judged(ridge=True, transformer_gnn=True), PASSED, found).is_empty()


@pytest.mark.parametrize(
    ("verdict", "gates", "reason"),
    [
        (judged(ridge=False), PASSED, "mean return is not above risk_parity"),
        (judged(ridge=True), answers(), "the gate deflated_sharpe was not asked"),
        (judged(ridge=True), answers(("ridge", "truncation", True, 1)), "was not asked"),
        (judged(ridge=True), answers(("ridge", "deflated_sharpe", False, 1)), "refuses it: found"),
        (
            judged(ridge=True),
            answers(("ridge", "deflated_sharpe", True, 1), ("ridge", "deflated_sharpe", False, 2)),
            "gate deflated_sharpe refuses it",
        ),
        (
            judged(ridge=True),
            answers(("ridge", "deflated_sharpe", True, 1), ("ridge", "purge", False, 0)),
            "gate purge refuses it",
        ),
        (judged(lightgbm=True), PASSED, "was not judged"),
    ],
)
def test_each_demand_alone_keeps_a_candidate(
    verdict: Verdict, gates: pl.DataFrame, reason: str
) -> None:
    assert said(changes(verdict, gates)) == []
    with pytest.raises(room.PromotionRefusedError, match=reason):
        room.require_promotable("ridge", verdict, gates)


def test_a_gate_passed_again_counts() -> None:
    gates = answers(("ridge", "deflated_sharpe", False, 1), ("ridge", "deflated_sharpe", True, 2))
    room.require_promotable("ridge", judged(ridge=True), gates)


def test_a_champion_that_no_longer_survives_is_retired() -> None:
    ledger = changes(judged(ridge=True), PASSED, at=6)
    fallen = changes(judged(ridge=False), PASSED, ledger, at=7)
    assert said(fallen) == [("r3", "ridge", "retired")]
    assert "not above risk_parity" in fallen["reason"][0]
    gone = changes(judged(transformer_gnn=False), PASSED, ledger, at=7)
    assert gone["reason"].to_list() == ["was not judged"]
    again = changes(judged(ridge=True), PASSED, pl.concat([ledger, fallen]), at=8)
    assert said(again) == [("r3", "ridge", "champion")]


def test_a_newer_fit_takes_the_place_of_the_champion() -> None:
    ledger = changes(judged(ridge=True), PASSED).with_columns(model_id=pl.lit("r3-old"))
    found = changes(judged(ridge=True), PASSED, ledger, at=10)
    assert said(found) == [("r3", "ridge", "champion"), ("r3-old", "ridge", "retired")]


def test_stages_now() -> None:
    ledger = changes(judged(ridge=True), PASSED, at=6)
    ledger = pl.concat([ledger, changes(judged(ridge=False), PASSED, ledger, at=7)])
    found = room.stages(REGISTRY, ledger).select("model_id", "stage", "since")
    assert dict(zip(found["model_id"], found["stage"], strict=True)) == {
        "r2": "candidate",
        "r3": "retired",
        "r3-old": "candidate",
        "t3-0": "candidate",
        "t3-1": "candidate",
    }
    assert found.filter(pl.col("model_id") == "r3")["since"].item() == day(7)
