"""Cross-asset family: how a symbol moves with its universe and with the dollar.

Belongs here: features that read several symbols at one date. Does not belong here: anything that
reads one symbol alone, and any graph a model is trained on (models build their own).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.features import technical
from btq_assets.features.definitions import (
    HISTORY,
    KEY,
    SESSIONS_PER_YEAR,
    Feature,
    prepare,
    undefined_to_null,
)
from btq_assets.features.windows import (
    Panel,
    correlation,
    covariance_blocks,
    first_session,
    long_frame,
    panels,
    simple_returns,
)
from btq_assets.timeline import asof_join

DOLLAR = "USD"
#: A dollar rate older than this counts as missing: longer than any exchange holiday.
DOLLAR_STALE = timedelta(days=7)
MOMENTUM_FROM, MOMENTUM_TO = 252, 21
_RANKED = {"momentum_rank": "momentum_12_1", "return_21d_rank": "return_21d"}


def features_for(window: int) -> tuple[Feature, ...]:
    """Definitions of the family for a window of `window` sessions.

    Parameters
    ----------
    window
        ``features.correlation_window_sessions``, ``w`` in the formulas.
    """
    own = "own definition"
    dollar = "usd: mean log change of the dollar against all other currencies of the FX universe, newest rate known at each session"
    rows = (
        ("universe_beta", "cov_w(R, M) / var_w(M), M mean simple return R of the universe, own included", "Sharpe (1964), market model", "1", window),
        ("idiosyncratic_volatility_annual", "sqrt(252 (var_w(R) - cov_w(R, M)^2 / var_w(M)))", "Ang, Hodrick, Xing and Zhang (2006), one factor", "fraction per root year", window),
        ("residual_momentum_12_1", "sum(e) / (std(e) sqrt(231)) over e[t-251..t-21], e[t] = R[t] - beta[t-1] M[t]", "Blitz, Huij and Martens (2011), one factor, past betas", "standard deviations", window + MOMENTUM_FROM),
        ("mean_correlation", "mean over j of C_ij, j not i, C correlations over w sessions", own, "-1 to 1", window),
        ("eigenvector_centrality", "u_i / mean(u), u leading eigenvector of |C|", "Bonacich (1972), of the absolute correlation graph", "1 is the mean", window),
        ("pc1_loading", "sqrt(N) v_i, v leading eigenvector of C with a positive sum", "principal components, Pearson (1901)", "1", window),
        ("momentum_rank", "2 (rank - 1) / (n - 1) - 1 of momentum_12_1 within the universe, ties averaged", "Jegadeesh and Titman (1993), ranked", "-1 to 1", MOMENTUM_FROM),
        ("return_21d_rank", "2 (rank - 1) / (n - 1) - 1 of return_21d within the universe, ties averaged", "Jegadeesh (1990), ranked", "-1 to 1", 21),
        ("usd_beta", f"cov_w(R, usd) / var_w(usd); {dollar}", own, "1", window),
        ("usd_correlation", f"cov_w(R, usd) / (std_w(R) std_w(usd)); {dollar}", own, "-1 to 1", window),
    )  # fmt: skip
    return tuple(
        Feature(name, "cross_asset", formula, source, unit, lookback, ("adj_close",))
        for name, formula, source, unit, lookback in rows
    )


#: The family at the default window; names and order do not depend on it.
FEATURES = features_for(126)
_NAMES = tuple(feature.name for feature in FEATURES)
_WINDOWED = tuple(name for name in _NAMES if name not in (*_RANKED, "residual_momentum_12_1"))


def compute(
    bars: pl.DataFrame, config: TradingConfig | None = None, since: datetime | None = None
) -> pl.DataFrame:
    """Compute the cross-asset family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`. Those of ``universe.cross_asset`` supply the dollar; without them
        the dollar columns are null.
    config
        Configuration: the window and the name of the FX universe.
    since
        Sessions before it are left without eigenvectors, for those who will not read them.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.cross_asset``: one per bar, sorted by universe, symbol and time. Null
        where fewer than two symbols have a full window.
    """
    config = config or TradingConfig()
    features: FeaturesSection = config.features
    window = features.correlation_window_sessions
    prepared = prepare(bars)
    sessions = prepared.select("universe", "ts").unique().sort("universe", "ts")
    dollar = dollar_moves(prepared, sessions, config.universe.cross_asset)
    returns = simple_returns(prepared)
    frames = [
        long_frame(
            panel,
            _panel_features(
                panel, _moves_of(dollar, panel.universe), window, first_session(panel, since)
            ),
        )
        for panel in panels(returns, "_simple")
    ]
    frame = prepared.select(KEY).join(_ranks(prepared), on=KEY, how="left")
    if frames:
        frame = frame.join(pl.concat(frames), on=KEY, how="left")
    absent = [pl.lit(None, pl.Float64).alias(n) for n in _NAMES if n not in frame.columns]
    return undefined_to_null(frame.with_columns(absent).select(*KEY, *_NAMES)).sort(KEY)


def dollar_moves(prepared: pl.DataFrame, sessions: pl.DataFrame, universe: str) -> pl.DataFrame:
    """Move of the dollar from each session to the next, from rates known by then.

    Parameters
    ----------
    prepared
        Output of `definitions.prepare`, with ``known_at`` where the source has it.
    sessions
        ``universe`` and ``ts`` of the sessions asked for, ascending.
    universe
        Name of the FX universe. Its symbols are ``BASEQUOTE`` pairs (``EURJPY``: yen per euro) of
        one base, or quotes alone.

    Returns
    -------
    polars.DataFrame
        `sessions` with ``_usd``: equal-weight log change, null where a rate is missing or stale.
    """
    rates = prepared.filter(pl.col("universe") == universe)
    quotes = {name: name.split("=")[0].replace("/", "")[-3:] for name in rates["symbol"].unique()}
    usd = sorted(name for name, quote in quotes.items() if quote == DOLLAR)
    if not usd:
        return sessions.with_columns(_usd=pl.lit(None, pl.Float64))
    known = "known_at" if "known_at" in rates.columns else "ts"
    against_dollar = pl.col("_r") - pl.col("_r").filter(pl.col("symbol") == usd[0]).first()
    index = (
        rates.group_by("ts")
        .agg(
            pl.col(known).max().alias("_known"),
            # Quotes per base: the dollar gains r_c - r_usd on currency c, and -r_usd on the base.
            (
                (
                    against_dollar.filter(pl.col("symbol") != usd[0]).sum()
                    - pl.col("_r").filter(pl.col("symbol") == usd[0]).first()
                )
                / (pl.col("_r").filter(pl.col("symbol") != usd[0]).count() + 1)
            ).alias("_move"),
        )
        .sort("ts")
        .select("_known", _level=pl.col("_move").fill_null(0.0).cum_sum())
    )
    joined = asof_join(sessions, index, known_at="_known", max_age=DOLLAR_STALE)
    return joined.select("universe", "ts", _usd=pl.col("_level").diff().over("universe"))


def _moves_of(dollar: pl.DataFrame, universe: str) -> np.ndarray:
    moves = dollar.filter(pl.col("universe") == universe).sort("ts")["_usd"]
    return moves.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _panel_features(
    panel: Panel, dollar: np.ndarray, window: int, first: int = 0
) -> Mapping[str, np.ndarray]:
    """All windowed columns of one universe, ``(T, N)`` each; no eigenvectors before `first`."""
    returns = panel.values
    n_symbols = returns.shape[1]
    market = _equal_weight(returns)
    columns = {name: np.full(returns.shape, np.nan) for name in _WINDOWED}
    for block in covariance_blocks(np.column_stack([returns, market, dollar]), window):
        assets = np.flatnonzero(block.members < n_symbols)
        position = {int(member): index for index, member in enumerate(block.members)}
        late = block.sessions >= first
        for graph, chosen in ((True, late), (False, ~late)):
            if not chosen.any():
                continue
            covariance = block.covariance if chosen.all() else block.covariance[chosen]
            found = _block_features(covariance, assets, position, n_symbols, graph=graph)
            place = np.ix_(block.sessions[chosen], block.members[assets])
            for name, value in found.items():
                columns[name][place] = value
    columns["residual_momentum_12_1"] = _residual_momentum(
        returns, market, columns["universe_beta"]
    )
    return columns


def _equal_weight(returns: np.ndarray) -> np.ndarray:
    """Mean return per session, NaN for fewer than two symbols."""
    n_present = np.isfinite(returns).sum(axis=1)
    total = np.nansum(returns, axis=1)
    return np.where(n_present >= 2, total / np.maximum(n_present, 1), np.nan)


def _block_features(
    covariance: np.ndarray,
    assets: np.ndarray,
    position: Mapping[int, int],
    n_symbols: int,
    *,
    graph: bool = True,
) -> dict[str, np.ndarray]:
    """Columns of one block; keys absent where the market or the dollar has no full window."""
    found: dict[str, np.ndarray] = {}
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    own = variance[:, assets]
    if (market := position.get(n_symbols)) is not None:
        with_market = covariance[:, assets, market]
        beta = with_market / variance[:, [market]]
        found["universe_beta"] = beta
        found["idiosyncratic_volatility_annual"] = np.sqrt(
            SESSIONS_PER_YEAR * np.clip(own - beta * with_market, 0.0, None)
        )
    if (usd := position.get(n_symbols + 1)) is not None:
        with_usd = covariance[:, assets, usd]
        found["usd_beta"] = with_usd / variance[:, [usd]]
        found["usd_correlation"] = np.clip(with_usd / np.sqrt(own * variance[:, [usd]]), -1, 1)
    if graph and assets.size >= 2:
        matrix = correlation(covariance[:, assets[:, None], assets])
        found["mean_correlation"] = (matrix.sum(axis=2) - 1) / (assets.size - 1)
        leading = np.linalg.eigh(matrix)[1][:, :, -1]
        positive = leading * np.where(leading.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
        found["pc1_loading"] = positive * math.sqrt(assets.size)
        weights = np.abs(leading)
        # Where no correlation is negative the graph is the matrix itself.
        signed = (matrix < 0).any(axis=(1, 2))
        if signed.any():
            weights[signed] = np.abs(np.linalg.eigh(np.abs(matrix[signed]))[1][:, :, -1])
        found["eigenvector_centrality"] = weights / weights.mean(axis=1, keepdims=True)
    return found


def _residual_momentum(returns: np.ndarray, market: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Standardised sum of residuals from 251 to 21 sessions ago, betas of the session before."""
    residual = np.full(returns.shape, np.nan)
    residual[1:] = returns[1:] - beta[:-1] * market[1:, None]
    length = MOMENTUM_FROM - MOMENTUM_TO
    result = np.full(returns.shape, np.nan)
    if returns.shape[0] < length + MOMENTUM_TO:
        return result
    present = np.isfinite(residual)
    known = np.where(present, residual, 0.0)
    n_present, total, squares = (
        _rolling_sum(values, length) for values in (present.astype(float), known, known**2)
    )
    variance = (squares - total**2 / length) / (length - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = total / np.sqrt(variance * length)
    score = np.where((n_present == length) & (variance > 1e-16), score, np.nan)
    # The window that ends at session s is read at session s + 21.
    result[length - 1 + MOMENTUM_TO :] = score[: score.shape[0] - MOMENTUM_TO]
    return result


def _rolling_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Sums of each full window, ``(T - window + 1, N)``."""
    total = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return total[window:] - total[:-window]


def _ranks(prepared: pl.DataFrame) -> pl.DataFrame:
    by_name = {f.name: f.expression for f in technical.FEATURES if f.expression is not None}
    values = prepared.select(
        *KEY,
        *(by_name[name].over(HISTORY).alias(name) for name in _RANKED.values()),
    )
    day = ("universe", "ts")
    return values.select(
        *KEY,
        *(
            pl.when(pl.col(source).count().over(day) >= 2)
            .then(
                2
                * (pl.col(source).rank("average").over(day) - 1)
                / (pl.col(source).count().over(day).cast(pl.Float64) - 1)
                - 1
            )
            .alias(name)
            for name, source in _RANKED.items()
        ),
    )


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return features_for(config.features.correlation_window_sessions)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config)


def compute_since(
    inputs: Mapping[str, pl.DataFrame], config: TradingConfig, since: datetime
) -> pl.DataFrame:
    """The same, for those who will read rows at or after `since` only."""
    return compute(inputs["bars"], config, since)
