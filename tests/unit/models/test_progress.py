"""What a step says while it fits: how far it is, and how long it will still take."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from btq_assets.models.assets import with_eta


def test_the_time_left_is_by_the_rule_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s for one of four fits leave 30; 20 s for three leave 20 / 3; within 5 s nothing is said."""
    said: list[str] = []
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    report = with_eta(SimpleNamespace(log=said.append), "lstm")
    for now, done in ((110.0, 1), (112.0, 2), (120.0, 3), (121.0, 4)):  # noqa: B007
        report(done, 4, {"fold": 1.0, "validation_rank_ic": 0.01234})
    assert said == [
        "lstm: fit 1/4, about 30 s left (fold 1, validation_rank_ic 0.01234)",
        "lstm: fit 3/4, about 7 s left (fold 1, validation_rank_ic 0.01234)",
        "lstm: fit 4/4, about 0 s left (fold 1, validation_rank_ic 0.01234)",
    ]
