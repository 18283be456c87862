"""What feature columns are worth as data: how much is missing, what has drifted, what repeats.

Belongs here: statistics about features, for people to read. Does not belong here: anything a
feature or a model is computed from; importances come from models and stand beside these rows in
``mart.feature_report``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import polars as pl
import polars.selectors as cs

from btq_assets.config import TradingConfig
from btq_assets.contracts import features as contracts

RECENT_SESSIONS = 252
#: Values on each side below which a distribution is not compared with another.
MIN_COMPARED = 250
#: Rows the two features of a pair must share, and rows sampled to correlate them.
MIN_PAIRED, SAMPLED_ROWS = 250, 20_000
#: Features are of one cluster when their mean absolute correlation exceeds this.
SAME_ABOVE = 0.8
_BINS = 10
#: Share an empty bin counts as, so that the index stays finite.
_EMPTY_BIN = 1e-4


def reference_window(config: TradingConfig) -> tuple[datetime, datetime]:
    """Start and end (excluded) of the first fold's training window, from the settings alone."""
    folds = config.models.walk_forward
    end = datetime.fromisoformat(folds.first_test).replace(tzinfo=UTC)
    start = pl.Series([end]).dt.offset_by(f"-{folds.train_years}y").item()
    return start, end


def quality(
    families: Mapping[str, pl.DataFrame], config: TradingConfig | None = None
) -> pl.DataFrame:
    """Rows of ``features.quality``.

    Parameters
    ----------
    families
        Feature tables by family name, the user's own among them; absent and empty ones give no
        rows. Floats outside the key are features.
    config
        Gives the training window.

    Returns
    -------
    polars.DataFrame
        One row per universe, bar length and feature, sorted.
    """
    config = config or TradingConfig()
    window = reference_window(config)
    rows: list[dict[str, object]] = []
    for (freq, universe), mine in _by_length_and_universe(families, config).items():
        clusters = redundancy(_training_panel(mine, window))
        for family, frame in mine.items():
            stretches = _stretches(frame["ts"], window)
            rows += [
                {"universe": universe, "freq": freq, "feature": feature, "family": family}
                | _presence(frame[feature], frame["ts"])
                | _drift(frame[feature], window, stretches)
                | clusters.get(feature, _ALONE)
                for feature in _features_of(frame)
            ]
    columns = contracts.QUALITY.schema
    return pl.DataFrame(rows, schema=columns).sort(contracts.QUALITY.key)


def _by_length_and_universe(
    families: Mapping[str, pl.DataFrame], config: TradingConfig
) -> dict[tuple[str, str], dict[str, pl.DataFrame]]:
    """Rows of each family, by bar length and universe."""
    found: dict[tuple[str, str], dict[str, pl.DataFrame]] = {}
    for name, frame in families.items():
        if "freq" not in frame.columns:
            length = config.features.tick_bar if name == "tick_microstructure" else "1d"
            frame = frame.with_columns(freq=pl.lit(length))
        parts = frame.partition_by("freq", "universe", as_dict=True, maintain_order=True)
        for (freq, universe), part in parts.items():
            found.setdefault((freq, universe), {})[name] = part
    return found


def _features_of(frame: pl.DataFrame) -> list[str]:
    return frame.select(cs.float()).columns


def population_stability(reference: np.ndarray, recent: np.ndarray) -> float:
    """Population stability index over deciles of the reference, Siddiqi (2006), chapter 9.

    ``sum((a - e) ln(a / e))`` over the bins, ``e`` and ``a`` the shares of the reference and the
    recent values; an empty share counts as 0.0001. Equal deciles (a value that often repeats) are
    one bin.

    Parameters
    ----------
    reference, recent
        Finite values, any length above 0.
    """
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = [
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1)
        / values.size
        for values in (reference, recent)
    ]
    expected, actual = (np.maximum(share, _EMPTY_BIN) for share in shares)
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def redundancy(panel: pl.DataFrame) -> dict[str, dict[str, object]]:
    """Clusters of features that rank rows alike.

    Average linkage on ``1 - |rho|``, ``rho`` the Spearman correlation over the rows both features
    have; cut where the mean absolute correlation falls to 0.8. The representative of a cluster has
    the largest mean absolute correlation with its members, the first by name among equals.

    Parameters
    ----------
    panel
        One float column per feature.

    Returns
    -------
    dict
        By feature: ``cluster``, ``cluster_size``, ``nearest_feature``, ``nearest_correlation``.
        Features with too few values or one value only are left out.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    usable = [n for n in sorted(panel.columns) if panel[n].drop_nulls().n_unique() > 1]
    if not usable:
        return {}
    rho = _spearman(panel.select(usable))
    alike = np.abs(np.nan_to_num(rho))
    np.fill_diagonal(alike, 1.0)
    if len(usable) == 1:
        labels = np.ones(1, dtype=int)
    else:
        distance = squareform(np.clip(1 - alike, 0, 2), checks=False)
        labels = fcluster(linkage(distance, "average"), 1 - SAME_ABOVE, "distance")
    found: dict[str, dict[str, object]] = {}
    for position, name in enumerate(usable):
        members = np.flatnonzero(labels == labels[position])
        centre = members[np.argmax(alike[np.ix_(members, members)].mean(axis=1))]
        others = alike[position].copy()
        others[position] = -1.0
        nearest = int(np.argmax(others))
        paired = len(usable) > 1 and np.isfinite(rho[position, nearest])
        found[name] = {
            "cluster": usable[centre],
            "cluster_size": len(members),
            "nearest_feature": usable[nearest] if paired else None,
            "nearest_correlation": float(rho[position, nearest]) if paired else None,
        }
    return found


_ALONE: dict[str, object] = {
    "cluster": None,
    "cluster_size": 0,
    "nearest_feature": None,
    "nearest_correlation": None,
}


def _presence(values: pl.Series, stamps: pl.Series) -> dict[str, object]:
    present = stamps.filter(values.is_not_null()) if values.null_count() else stamps
    return {
        "n_rows": values.len(),
        "missing_share": 1 - present.len() / values.len(),
        "first_ts": present.min(),
        "last_ts": present.max(),
    }


def _stretches(
    stamps: pl.Series, window: tuple[datetime, datetime]
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are of the training window, and which of the newest sessions."""
    start = stamps.unique().sort().tail(RECENT_SESSIONS)[0]
    return stamps.is_between(*window, closed="left").to_numpy(), (stamps >= start).to_numpy()


def _drift(
    values: pl.Series, window: tuple[datetime, datetime], stretches: tuple[np.ndarray, np.ndarray]
) -> dict[str, object]:
    present, numbers = values.is_not_null().to_numpy(), values.to_numpy()
    before, now = (numbers[present & rows] for rows in stretches)
    found: dict[str, object] = {
        "reference_start": window[0],
        "reference_end": window[1],
        "n_reference": before.size,
        "n_recent": now.size,
        "psi": None,
        "ks_statistic": None,
    }
    if min(before.size, now.size) >= MIN_COMPARED:
        found["psi"] = population_stability(before, now)
        found["ks_statistic"] = _ks_statistic(before, now)
    return found


def _ks_statistic(left: np.ndarray, right: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov statistic: largest gap of the empirical distributions."""
    at = np.concatenate([left, right])
    shares = [
        np.searchsorted(np.sort(values), at, side="right") / values.size for values in (left, right)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def _training_panel(
    tables: Mapping[str, pl.DataFrame], window: tuple[datetime, datetime]
) -> pl.DataFrame:
    """Rows of the training window with every feature, at most `SAMPLED_ROWS`, evenly spread."""
    by_symbol = {name: frame for name, frame in tables.items() if "symbol" in frame.columns}
    if not by_symbol:
        return pl.DataFrame()
    inside = pl.col("ts").is_between(*window, closed="left")
    keys = pl.concat([f.filter(inside).select("symbol", "ts") for f in by_symbol.values()])
    keys = keys.unique().sort("ts", "symbol")
    panel = keys.gather_every(max(1, -(-keys.height // SAMPLED_ROWS)))
    for name, frame in tables.items():
        on = ["symbol", "ts"] if name in by_symbol else ["ts"]
        columns = _features_of(frame)
        panel = panel.join(frame.select(*on, *columns), on=on, how="left")
    return panel.drop("symbol", "ts")


def _spearman(panel: pl.DataFrame) -> np.ndarray:
    """Pairwise-complete correlations of ranks; NaN where too few rows are shared.

    Ranks are of each column's own values: with missing ones a pair's ranks are not re-ranked, a
    difference that does not matter for finding features that say the same.
    """
    ranks = panel.select(pl.all().rank("average")).to_numpy().astype(np.float64)
    weight = np.isfinite(ranks).astype(np.float64)
    ranks = np.nan_to_num(ranks)
    n = weight.T @ weight
    sums = ranks.T @ weight
    squares = (ranks**2).T @ weight
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = ranks.T @ ranks / n - sums * sums.T / n**2
        variance = squares / n - (sums / n) ** 2
        rho = covariance / np.sqrt(variance * variance.T)
    rho[n < MIN_PAIRED] = np.nan
    return np.clip(rho, -1.0, 1.0)
