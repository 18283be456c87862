"""Named market states through time: refits on a schedule, names matched, filtered probabilities.

Belongs here: `regimes.market_states` (one input) and `regimes.hidden_states` (several), which are
one computation. Does not belong here: the fit (`gaussian_states`), how states are named (`labels`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.config.regimes import HiddenStatesSection, RegimesSection, StateModelSection
from btq_assets.contracts.regimes import HIDDEN_STATES, MARKET_STATES
from btq_assets.regimes import labels as naming
from btq_assets.regimes.gaussian_states import StateModel, filtered_probabilities, fit
from btq_assets.regimes.markov import RegimeError
from btq_assets.regimes.panel import Panel, average_correlation, panel_of, realised_volatility
from btq_assets.regimes.states import SESSIONS_PER_YEAR, refit_positions


@dataclass(frozen=True)
class NamedFit:
    """A usable fit, the window it saw, and what its states are called.

    Parameters
    ----------
    first, last
        Positions of the window, both included.
    filtered
        ``(n, K)`` filtered probabilities from `first` on.
    names
        Name of each state.
    agreement
        Share of the common sessions whose likeliest state has the same name under the previous
        fit; ``None`` for the first.
    """

    first: int
    last: int
    model: StateModel
    filtered: np.ndarray
    names: tuple[str, ...]
    agreement: float | None


def market_states(
    bars: pl.DataFrame, universe: str, settings: RegimesSection | None = None
) -> pl.DataFrame:
    """Markov switching in mean and variance of a universe's equal-weight return.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`.
    universe
        Universe wanted; without any return of it, or switched off, there are no rows.
    settings
        Schedule, window, number of states, and what follows a failed fit.

    Returns
    -------
    polars.DataFrame
        Rows of ``regimes.market_states``, from the first usable fit on.

    Raises
    ------
    RegimeError
        A fit failed and ``on_failed_fit`` is ``error``.
    """
    settings = settings or RegimesSection()
    section = settings.market_states
    panel = panel_of(bars, universe)
    if not (settings.enable and section.enable) or panel.ts.is_empty():
        return MARKET_STATES.empty()
    rows = named_states(panel.ts, panel.market[:, None], settings, section)
    return rows.with_columns(scope=pl.lit(universe)).select(MARKET_STATES.column_names)


def hidden_states(
    bars: pl.DataFrame, universe: str, settings: RegimesSection | None = None
) -> pl.DataFrame:
    """Hidden Markov model of return, realised volatility and average correlation.

    As `market_states`, with the inputs of `hidden_inputs`; sessions on which one of them is
    missing have no row.
    """
    settings = settings or RegimesSection()
    section = settings.hidden_states
    panel = panel_of(bars, universe)
    if not (settings.enable and section.enable) or panel.ts.is_empty():
        return HIDDEN_STATES.empty()
    inputs = hidden_inputs(panel, section)
    complete = np.isfinite(inputs).all(axis=1)
    rows = named_states(panel.ts.filter(pl.Series(complete)), inputs[complete], settings, section)
    return rows.with_columns(scope=pl.lit(universe)).select(HIDDEN_STATES.column_names)


def hidden_inputs(panel: Panel, section: HiddenStatesSection) -> np.ndarray:
    """``(T, 3)``: return, log of realised volatility, Fisher z of the average correlation."""
    volatility = realised_volatility(panel.market, section.volatility_window_sessions)
    correlation = average_correlation(panel.log_returns, section.correlation_window_sessions)
    with np.errstate(divide="ignore"):
        inputs = np.column_stack(
            [panel.market, np.log(volatility), np.arctanh(np.clip(correlation, -0.999, 0.999))]
        )
    return np.where(np.isfinite(inputs), inputs, np.nan)


def named_states(
    ts: pl.Series,
    observations: np.ndarray,
    settings: RegimesSection,
    section: StateModelSection,
) -> pl.DataFrame:
    """Rows of a state table (without ``scope``) from complete observations.

    After every refit the filter starts afresh at the beginning of the fit window and runs on
    unchanged until the next refit.

    Parameters
    ----------
    ts
        ``(T,)`` sessions.
    observations
        ``(T, D)``, no NaN; the first column is the log return, by which states are named.
    """
    refits = refit_positions(len(observations), settings)
    in_force: NamedFit | None = None
    frames = []
    for number, start in enumerate(refits):
        stop = refits[number + 1] if number + 1 < len(refits) else len(observations)
        made = _named_fit(observations, start, stop, in_force, section)
        if made is None and settings.on_failed_fit == "error":
            raise RegimeError(
                f"the fit of {section.n_states} states to the window that ends {ts[start]} failed; "
                "set regimes.on_failed_fit to previous or null, or allow more iterations"
            )
        if made is None and in_force is not None:
            in_force = _run_on(in_force, observations, stop)
        if made is not None:
            in_force = made
        if in_force is None:
            continue
        given = in_force if made is not None or settings.on_failed_fit == "previous" else None
        frames.append(_rows(ts, observations, given, start, stop, made is not None))
    if not frames:
        return MARKET_STATES.empty().drop("scope")
    return pl.concat(frames)


def _named_fit(
    observations: np.ndarray,
    start: int,
    stop: int,
    previous: NamedFit | None,
    section: StateModelSection,
) -> NamedFit | None:
    """Fit the window that ends at `start`, filter on to `stop`, name the states."""
    first = max(0, start + 1 - section.window_sessions)
    window = observations[first : start + 1]
    model = fit(window, section, None if previous is None else previous.model.n_states)
    if model is None:
        return None
    filtered = filtered_probabilities(observations[first:stop], model)
    places = naming.coordinates(
        model.means[:, 0], np.sqrt(model.covariances[:, 0, 0]), float(window[:, 0].std())
    )
    if previous is None:
        return NamedFit(first, start, model, filtered, naming.assign(places), None)
    begin = max(first, previous.first)
    # The previous fit was in force up to the session before this refit.
    before = previous.filtered[begin - previous.first : start - previous.first]
    now = filtered[begin - first : start - first]
    overlaps = naming.overlap(before, now)
    names = naming.assign(
        places, dict(zip(previous.names, overlaps, strict=True)), section.label_weight
    )
    same = np.array(previous.names)[before.argmax(axis=1)] == np.array(names)[now.argmax(axis=1)]
    return NamedFit(first, start, model, filtered, names, float(same.mean()))


def _run_on(named: NamedFit, observations: np.ndarray, stop: int) -> NamedFit:
    """The same fit, filtered on to `stop`."""
    filtered = filtered_probabilities(observations[named.first : stop], named.model)
    return NamedFit(named.first, named.last, named.model, filtered, named.names, named.agreement)


def _rows(
    ts: pl.Series,
    observations: np.ndarray,
    named: NamedFit | None,
    start: int,
    stop: int,
    converged: bool,
) -> pl.DataFrame:
    """Rows from `start` to `stop` (excluded) under a fit, or without any."""
    n = stop - start
    columns: dict[str, object] = {"ts": ts[start:stop]}
    nothing = pl.Series([None] * n, dtype=pl.Float64)
    if named is None:
        columns |= {f"p_{label}": nothing for label in naming.LABELS}
        columns |= {"state": pl.Series([None] * n, dtype=pl.String)}
        columns |= {"state_mean_annual": nothing, "state_volatility_annual": nothing}
    else:
        filtered = named.filtered[start - named.first : stop - named.first]
        likeliest = filtered.argmax(axis=1)
        for label in naming.LABELS:
            columns[f"p_{label}"] = (
                filtered[:, named.names.index(label)] if label in named.names else nothing
            )
        columns["state"] = [named.names[k] for k in likeliest]
        means = named.model.means[:, 0] * SESSIONS_PER_YEAR
        volatilities = np.sqrt(named.model.covariances[:, 0, 0] * SESSIONS_PER_YEAR)
        columns["state_mean_annual"] = means[likeliest]
        columns["state_volatility_annual"] = volatilities[likeliest]
    return pl.DataFrame(columns).with_columns(
        n_states=pl.lit(None if named is None else named.model.n_states, dtype=pl.Int64),
        fitted_until=pl.lit(None if named is None else ts[named.last], dtype=ts.dtype),
        converged=pl.lit(converged),
        matched_share=pl.lit(None if named is None else named.agreement, dtype=pl.Float64),
    )
