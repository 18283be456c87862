"""What a step says while it fits: how far it is, and how long it will still take."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from network_house import small_config, training_frame

from btq_assets.models.folds import splits
from btq_assets.models.plans import plan_of
from btq_assets.models.progress import with_eta
from btq_assets.models.walk_forward import fit_all


def test_the_time_left_is_by_the_rule_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s for one of four fits leave 30, 15 s for one and a half 25, 20 s for three 20 / 3; within
    5 s nothing is said, but at the end."""
    said: list[str] = []
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    report = with_eta(SimpleNamespace(log=said.append), "lstm")
    for now, done in ((110.0, 1), (112.0, 1.2), (115.0, 1.5), (120.0, 3), (121.0, 4)):  # noqa: B007
        report(done, 4, {"fold": 1.0, "validation_rank_ic": 0.01234})
    numbers = "(fold 1, validation_rank_ic 0.01234)"
    assert said == [
        f"lstm: fit 1/4, about 30 s left {numbers}",
        f"lstm: fit 2/4 at 50%, about 25 s left {numbers}",
        f"lstm: fit 3/4, about 7 s left {numbers}",
        f"lstm: fit 4/4, about 0 s left {numbers}",
    ]


@pytest.mark.parametrize("name", ["mlp", "ridge"])
def test_fits_say_how_far_they_are_and_come_out_the_same(name: str) -> None:
    """Networks of two epochs say a third and two thirds of each fit; nobody listening changes nothing."""
    pytest.importorskip("torch")
    config = small_config()
    frame = training_frame(config)
    folds = splits(frame, config).head(2)
    plan = plan_of(name, config, code_version="v")
    told: list[tuple[float, int]] = []
    fits = fit_all(
        frame,
        folds,
        plan,
        data_hash="d",
        progress=lambda done, total, _: told.append((done, total)),
    )
    done = [one for one, _ in told]
    assert done == sorted(done)
    assert {total for _, total in told} == {len(fits)}
    assert [one for one in done if one % 1 == 0] == list(range(1, len(fits) + 1))
    if name == "mlp":
        expected = [fit + part / 3 for fit in range(len(fits)) for part in (1, 2, 3)]
        assert done == pytest.approx(expected)
    for one, other in zip(fits, fit_all(frame, folds, plan, data_hash="d"), strict=True):
        assert one.model_id == other.model_id
        assert one.forecasts.equals(other.forecasts)
