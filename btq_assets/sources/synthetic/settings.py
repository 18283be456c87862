"""From the settings of `sources.synthetic` to what the generator is asked for."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from btq_assets.sources.synthetic.spec import (
    MINUTES_PER_SESSION,
    BadTicks,
    Edge,
    MarketSpec,
    MissedSplit,
    NewsDrift,
    Outage,
    Plants,
    RegimeChange,
)

if TYPE_CHECKING:
    from btq_assets.config.sources.synthetic import SyntheticSourceSection


def spec_of(settings: SyntheticSourceSection) -> MarketSpec:
    """The market that `settings` describe."""
    n_bad, regime, split = (
        settings.bad_ticks_of_each_kind,
        settings.regime_session,
        settings.missed_split_session,
    )
    edge, minutes = settings.edge_correlation, settings.outage_minutes
    last = settings.n_sessions - 1
    outage = Outage(last, (MINUTES_PER_SESSION - minutes) // 2, minutes)
    return MarketSpec(
        seed=settings.seed,
        n_symbols=settings.n_symbols,
        n_sessions=settings.n_sessions,
        first_day=date.fromisoformat(settings.first_day),
        annual_volatility=settings.annual_volatility,
        correlation=settings.correlation,
        plants=Plants(
            edge=Edge(edge, via="leader") if edge else None,
            regime=None if regime is None else RegimeChange(regime),
            outages=(outage,) if minutes else (),
            bad_ticks=BadTicks(n_bad, n_bad, n_bad, n_bad, n_bad),
            missed_split=None if split is None else MissedSplit(split),
            news=NewsDrift(settings.news_drift_bps) if settings.news_drift_bps else None,
        ),
    )


def tick_sessions(settings: SyntheticSourceSection) -> range:
    """Numbers of the sessions whose ticks are generated."""
    return range(min(settings.tick_sessions, settings.n_sessions))


def option_sessions(settings: SyntheticSourceSection) -> tuple[int, ...]:
    """Numbers of the sessions at whose close options are quoted."""
    first = max(0, settings.n_sessions - settings.option_sessions)
    return tuple(range(first, settings.n_sessions))
