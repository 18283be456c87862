"""Quantum-inspired family: an oscillator, a collapse and an entanglement, in plain statistics.

Belongs here: members whose definition one can recompute by hand from returns; the physics is an
analogy, and nothing here claims more. Does not belong here: quantum computing. A member switched
off in ``features.quantum_features`` stays a column and is null.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl
import polars_talib as talib

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.features.definitions import (
    CONSTANT_BELOW,
    KEY,
    Feature,
    evaluate,
    prepare,
    ratio,
    undefined_to_null,
)
from btq_assets.features.windows import (
    correlation,
    covariance_blocks,
    first_session,
    long_frame,
    panels,
    simple_returns,
)

#: Deciles of the standard normal: a return spread as last year's falls in each with equal chance.
DECILES = (-1.2815515655446004, -0.8416212335729142, -0.5244005127080407, -0.2533471031357997, 0.0,
           0.2533471031357997, 0.5244005127080407, 0.8416212335729142, 1.2815515655446004)  # fmt: skip
SCALE_WINDOW = 252
CHANGE_SESSIONS = 21
#: Above this the correlation matrix is singular for the asset and its information infinite.
MAX_PRECISION = 1e8

_NEEDS = ("adj_close",)


def features_for(window: int) -> tuple[Feature, ...]:
    """Definitions of the family for a window of `window` sessions.

    Parameters
    ----------
    window
        ``features.quantum_features.window_sessions``, ``w`` in the formulas.
    """
    position, momentum = pl.col("_x"), pl.col("_momentum")
    concentration = pl.col("_concentration")
    own = "own definition"
    rows = (
        (
            "oscillator_energy",
            "(x^2 + m^2) / 2; d = ln p - end of the w-session regression line of ln p on time, "
            "x = (d - mean_w d) / std_w d, m = (x[t] - x[t-1]) / std_w(x[t] - x[t-1])",
            f"{own}, energy of a harmonic oscillator of unit mass and frequency",
            "1",
            3 * window - 2,
            (position.pow(2) + momentum.pow(2)) / 2,
        ),
        (
            "oscillator_phase",
            "atan2(m, x), x and m as in oscillator_energy",
            f"{own}, phase-space angle of the same oscillator",
            "radians",
            3 * window - 2,
            pl.arctan2(momentum, position),
        ),
        (
            "collapse_concentration",
            "sum_k q_k^2; q_k share of the last w values of z in the k-th decile of the standard "
            "normal, z[t] = r[t] / std252(r)[t-1]",
            "inverse participation ratio, Bell and Dean (1970), of the return histogram",
            "0.1 to 1",
            SCALE_WINDOW + window,
            concentration,
        ),
        (
            "collapse_change",
            f"collapse_concentration[t] - collapse_concentration[t-{CHANGE_SESSIONS}]",
            own,
            "1",
            SCALE_WINDOW + window + CHANGE_SESSIONS,
            concentration - concentration.shift(CHANGE_SESSIONS),
        ),
        (
            "entanglement_entropy",
            "-sum_k l_k ln l_k / ln N; l_k eigenvalues of C / N, C correlations of the N assets "
            "over w sessions; 1 for independent assets, 0 for one common motion",
            "von Neumann (1927) entropy of the density matrix C / N",
            "0 to 1",
            window,
            None,
        ),
        (
            "entanglement_contribution",
            "N sum_k (-l_k ln l_k) v_ik^2 / S; S the entropy before division by ln N, "
            "v_k eigenvectors; the mean over assets is 1",
            f"{own}, diagonal of -rho ln rho",
            "1",
            window,
            None,
        ),
        (
            "entanglement_mutual_information",
            "ln((C^-1)_ii) / 2 = -ln(1 - R2_i) / 2, R2_i of asset i on all others",
            "Cover and Thomas (2006), eq. 8.53, of a Gaussian with correlations C",
            "nats",
            window,
            None,
        ),
    )
    return tuple(
        Feature(name, "quantum", formula, source, unit, lookback, _NEEDS, True, expression)
        for name, formula, source, unit, lookback, expression in rows
    )


#: The family at the default window; names and order do not depend on it.
FEATURES = features_for(63)

_MEMBERS = {
    "harmonic_oscillator": ("oscillator_energy", "oscillator_phase"),
    "wave_function_collapse": ("collapse_concentration", "collapse_change"),
    "entanglement": (
        "entanglement_entropy",
        "entanglement_contribution",
        "entanglement_mutual_information",
    ),
}


def switched_off(features: FeaturesSection) -> frozenset[str]:
    """Names of the members the configuration switches off."""
    settings = features.quantum_features
    return frozenset(
        name
        for member, names in _MEMBERS.items()
        if not (settings.enable and getattr(settings, member))
        for name in names
    )


def _stages(window: int) -> tuple[dict[str, pl.Expr], ...]:
    log_price, deviation, position = pl.col("_p").log(), pl.col("_d"), pl.col("_x")
    velocity = pl.col("_velocity")
    return (
        {
            "_d": (log_price - talib.linearreg(log_price, window)).fill_nan(None),
            "_z": ratio(
                pl.col("_r"), pl.col("_r").rolling_std(SCALE_WINDOW).shift(1), CONSTANT_BELOW
            ),
        },
        {
            "_x": ratio(
                deviation - deviation.rolling_mean(window),
                deviation.rolling_std(window),
                CONSTANT_BELOW,
            ),
            "_decile": pl.sum_horizontal([(pl.col("_z") > edge).cast(pl.Int8) for edge in DECILES])
            + 0 * (pl.col("_z") > 0).cast(pl.Int8),
        },
        {
            "_velocity": position.diff(),
            # sum_horizontal adds in whichever order its threads finish; a chain of additions
            # has one order, and two runs agree to the last bit.
            "_concentration": functools.reduce(
                operator.add,
                (
                    (pl.col("_decile") == k).cast(pl.Float64).rolling_mean(window).pow(2)
                    for k in range(len(DECILES) + 1)
                ),
            ),
        },
        {"_momentum": ratio(velocity, velocity.rolling_std(window), CONSTANT_BELOW)},
    )


def compute(
    bars: pl.DataFrame, features: FeaturesSection | None = None, since: datetime | None = None
) -> pl.DataFrame:
    """Compute the quantum-inspired family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only ``adj_close`` is read.
    features
        Configuration: switches and the window.
    since
        Sessions before it are left without entanglement, for those who will not read them.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.quantum``: one per bar, sorted by universe, symbol and time.
    """
    features = features or FeaturesSection()
    window = features.quantum_features.window_sessions
    off = switched_off(features)
    wanted = [f for f in features_for(window) if f.name not in off]
    prepared = prepare(bars)
    # Stages are cheap beside the entanglement; a member switched off costs nothing worth sparing.
    frame = evaluate(prepared, _stages(window), [f for f in wanted if f.expression is not None])
    if not set(_MEMBERS["entanglement"]) & off:
        frame = frame.join(entanglement(prepared, window, since), on=KEY, how="left")
    nulls = [pl.lit(None, dtype=pl.Float64).alias(name) for name in off]
    return frame.with_columns(nulls).select(*KEY, *(f.name for f in FEATURES)).sort(KEY)


def entanglement(
    prepared: pl.DataFrame, window: int, since: datetime | None = None
) -> pl.DataFrame:
    """Entropy of the universe's correlation density matrix, and each asset's part in it.

    Parameters
    ----------
    prepared
        Output of `definitions.prepare`.
    window
        Sessions of the trailing correlations.
    since
        Sessions before it are left null.

    Returns
    -------
    polars.DataFrame
        Key and the three entanglement columns; null for fewer than two assets with full windows,
        and mutual information also where the correlations are singular.
    """
    names = _MEMBERS["entanglement"]
    frames = []
    for panel in panels(simple_returns(prepared), "_simple"):
        columns = {name: np.full(panel.values.shape, np.nan) for name in names}
        first = first_session(panel, since)
        for block in covariance_blocks(panel.values, window):
            if block.members.size < 2:
                continue
            late = block.sessions >= first
            if not late.any():
                continue
            covariance = block.covariance if late.all() else block.covariance[late]
            place = np.ix_(block.sessions[late], block.members)
            for name, value in zip(names, density_entropy(correlation(covariance)), strict=True):
                columns[name][place] = value
        frames.append(long_frame(panel, columns))
    if not frames:
        return prepared.select(KEY).with_columns(pl.lit(None, pl.Float64).alias(n) for n in names)
    return undefined_to_null(pl.concat(frames))


def density_entropy(correlations: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entropy of ``C / N``, the assets' shares in it, and their mutual information with the rest.

    Parameters
    ----------
    correlations
        ``(S, N, N)``, N at least 2.

    Returns
    -------
    tuple of numpy.ndarray
        Entropy over ln N, ``(S, 1)``; contributions times N, ``(S, N)``; information in nats,
        ``(S, N)``. NaN where undefined.
    """
    n_assets = correlations.shape[-1]
    eigenvalues, vectors = np.linalg.eigh(correlations)
    weights = np.clip(eigenvalues / n_assets, 0.0, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(weights > 1e-15, -weights * np.log(weights), 0.0)
        entropy = terms.sum(axis=-1, keepdims=True)
        squared = vectors**2
        shares = np.einsum("sik,sk->si", squared, terms)
        contribution = np.where(entropy > 1e-9, n_assets * shares / entropy, np.nan)
        # Eigenvalues below the limit are rounding: the matrix is singular.
        safe = np.where(eigenvalues > 1 / MAX_PRECISION, eigenvalues, np.nan)
        precision = np.einsum("sik,sk->si", squared, 1 / safe)
        information = 0.5 * np.log(np.maximum(precision, 1.0))
    return np.clip(entropy / np.log(n_assets), 0.0, 1.0), contribution, information


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return features_for(config.features.quantum_features.window_sessions)


def stages_of(config: TradingConfig) -> tuple[dict[str, pl.Expr], ...]:
    """Intermediate columns the expressions read, for the windows of `config`."""
    return _stages(config.features.quantum_features.window_sessions)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config.features)


def compute_since(
    inputs: Mapping[str, pl.DataFrame], config: TradingConfig, since: datetime
) -> pl.DataFrame:
    """The same, for those who will read rows at or after `since` only."""
    return compute(inputs["bars"], config.features, since)
