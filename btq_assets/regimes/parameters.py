"""Parameters by regime, with hysteresis, for strategies to read.

Belongs here: which regime is in force at a session, and its parameters. Does not belong here: using
them (`portfolio`).
"""

from __future__ import annotations

import math

import polars as pl

from btq_assets.config.regimes import RegimeParametersSection, RegimesSection
from btq_assets.contracts.regimes import PARAMETERS
from btq_assets.regimes.labels import LABELS


def regime_parameters(
    market_states: pl.DataFrame,
    stress_index: pl.DataFrame,
    settings: RegimesSection | None = None,
) -> pl.DataFrame:
    """Regime in force at each session of `market_states`, and what a strategy may do in it.

    Parameters
    ----------
    market_states
        Rows of `regimes.market_states`.
    stress_index
        Rows of `regimes.stress_index`; its crisis flag goes before the states. May be empty.
    settings
        Values by regime, thresholds and the shortest stay.

    Returns
    -------
    polars.DataFrame
        Rows of ``regimes.parameters``.
    """
    settings = settings or RegimesSection()
    section = settings.parameters
    if not (settings.enable and section.enable) or market_states.is_empty():
        return PARAMETERS.empty()
    rows = (
        market_states.join(
            stress_index.select("scope", "ts", "is_crisis"), on=["scope", "ts"], how="left"
        )
        .with_columns(pl.col("is_crisis").fill_null(False))
        .sort("scope", "ts")
    )
    frames = [_of_scope(frame, section) for frame in rows.partition_by("scope")]
    return pl.concat(frames).select(PARAMETERS.column_names)


def _of_scope(rows: pl.DataFrame, section: RegimeParametersSection) -> pl.DataFrame:
    states = in_force(
        [
            {label: row[f"p_{label}"] for label in LABELS if row[f"p_{label}"] is not None}
            for row in rows.select([f"p_{label}" for label in LABELS]).iter_rows(named=True)
        ],
        section,
    )
    regimes = [
        "crisis" if crisis else state
        for crisis, state in zip(rows["is_crisis"], states, strict=True)
    ]
    values = {regime: getattr(section, regime) for regime in set(regimes) if regime is not None}
    return (
        rows.select("scope", "ts")
        .with_columns(
            regime=pl.Series(regimes, dtype=pl.String),
            sessions_in_regime=pl.Series(_lengths(regimes), dtype=pl.Int64),
        )
        .with_columns(
            pl.Series(
                name,
                [None if r is None else getattr(values[r], name) for r in regimes],
                dtype=pl.Float64,
            )
            for name in ("exposure_multiplier", "max_position", "rebalance_threshold")
        )
        .filter(pl.col("regime").is_not_null())
    )


def in_force(
    probabilities: list[dict[str, float]], section: RegimeParametersSection
) -> list[str | None]:
    """State in force at each session.

    Another state comes in where its probability reaches ``enter_probability``, that of the one in
    force is below ``exit_probability`` and it has lasted ``min_dwell_sessions``. The first is the
    likeliest one. Without any probability the one in force stays; a state the newest fit does not
    have counts as impossible.
    """
    out: list[str | None] = []
    state: str | None = None
    lasted = 0
    for given in probabilities:
        if given:
            likeliest = max(given, key=lambda label: given[label])
            if state is None or (
                likeliest != state
                and lasted >= section.min_dwell_sessions
                and given[likeliest] >= section.enter_probability
                and given.get(state, -math.inf) < section.exit_probability
            ):
                state, lasted = likeliest, 0
        lasted += 1
        out.append(state)
    return out


def _lengths(regimes: list[str | None]) -> list[int]:
    """Sessions since the regime came in, its first one counted as 1."""
    out: list[int] = []
    for number, regime in enumerate(regimes):
        out.append(out[-1] + 1 if number and regimes[number - 1] == regime else 1)
    return out
