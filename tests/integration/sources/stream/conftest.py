"""Twenty minutes of a generated market with two symbols."""

from __future__ import annotations

import pytest

from btq_assets.sources.stream.replay import MarketEvent, events_of
from btq_assets.sources.synthetic import MarketSpec, generate
from btq_assets.sources.synthetic.ticks import Ticks, session_ticks


@pytest.fixture(scope="session")
def ticks() -> Ticks:
    return session_ticks(generate(MarketSpec(seed=3, n_symbols=2, n_sessions=1)), minutes=20)


@pytest.fixture(scope="session")
def events(ticks) -> list[MarketEvent]:
    return events_of(ticks.trades, ticks.quotes, ticks.book)
