"""Cross-asset structure: graph, clusters, factors and leaders of a universe, from past windows.

Belongs here: when a universe is looked at, and what each asset gets from it until the next time.
Does not belong here: what a window says (`structure`), betas and the dollar (`cross_asset`).

A graph is fitted at the first session of each month, on the window that ends there, and holds until
the next one: the schedule follows from the calendar alone, so that neither later sessions nor
missing older ones move it. Factors explain only sessions after the one they were fitted at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.features import structure, technical
from btq_assets.features.definitions import (
    CONSTANT_BELOW,
    HISTORY,
    KEY,
    Feature,
    prepare,
    undefined_to_null,
)
from btq_assets.features.windows import (
    Panel,
    complete,
    covariance_blocks,
    long_frame,
    panels,
    simple_returns,
)

#: Fewest assets with a graph.
MIN_ASSETS = 3
MOMENTUM_FROM, MOMENTUM_TO = 252, 21
_RECENT, _YEAR = 15, 252
#: Number of universe and session; more clusters than any universe has.
DAY, MAX_CLUSTERS = "_day", 10_000
_RANKED = ("return_5d", "return_63d", "distance_high_252", "bollinger_z_20", "volatility_63")
_RELATIVE = ("return_21d", "momentum_12_1")


def features_for(window: int) -> tuple[Feature, ...]:
    """Definitions of the family for a window of `window` sessions.

    Parameters
    ----------
    window
        ``features.correlation_window_sessions``, ``w`` in the formulas.
    """
    own = "own definition"
    z = "z returns of the window, standardised (divisor w)"
    leads = "Bennett, Cucuringu and Reinert (2022)"
    cluster = (
        "clusters: average linkage on d, max(2, round(sqrt(N/2))), one where all d_ij are equal"
    )
    rows = (
        ("shrinkage_ledoit_wolf", f"s = min(b, d) / d of {z}, towards the identity", "Ledoit and Wolf (2004), section 3.3", "0 to 1", window),
        ("shrinkage_oas", "the same by the oracle approximation", "Chen, Wiesel, Eldar and Hero (2010), as in scikit-learn", "0 to 1", window),
        ("shrunk_mean_correlation", "mean over j of c_ij, c = (1 - s) C, C correlations over w sessions", "Ledoit and Wolf (2004)", "-1 to 1", window),
        ("network_degree", "share of j with |c_ij| > 2 / sqrt(w)", own, "0 to 1", window),
        ("network_entropy", "-sum(q ln q) / ln(N-1), q_j = |c_ij| / sum over j", "Shannon (1948), of the weighted graph", "0 to 1", window),
        ("spanning_tree_degree", "edges of i in the minimum spanning tree of d over N-1, d_ij = sqrt((1 - c_ij) / 2); null where all d_ij are equal", "Mantegna (1999)", "0 to 1", window),
        ("cluster_distance_own", f"mean d_ij over the rest of i's cluster; {cluster}", own, "0 to 1", window),
        ("cluster_distance_nearest", "smallest mean d_ij over the members of another cluster", own, "0 to 1", window),
        ("cluster_silhouette", "(nearest - own) / max(nearest, own); 0 alone", "Rousseeuw (1987)", "-1 to 1", window),
        ("cluster_persistence", "shared members over members of either, of i's cluster and that of the month before matched with it one to one for most shared members", "Jaccard (1901); matching of Kuhn (1955)", "0 to 1", window + 21),
        ("cluster_relative_return_21d", "return_21d less its mean over the rest of i's cluster", own, "fraction", window),
        ("cluster_relative_momentum_12_1", "momentum_12_1 less its mean over the rest of i's cluster", "Moskowitz and Grinblatt (1999), by clusters", "fraction", MOMENTUM_FROM),
        ("lead_lag_levy_area", f"mean over j of sum(X[t-1,i] z[t,j] - X[t-1,j] z[t,i]) / (2w), X running sum of z; {z}", leads, "1", window),
        ("lead_lag_correlation", "mean over j of (S_ij - S_ji) / (S_ij + S_ji), S_ij = sum over lags 1..5 of |corr(z[t-l,i], z[t,j])|", leads, "-1 to 1", window),
        ("leaders_return_1d", "sum over j of k_ji R_j / std_w(R_j), k lag-1 correlations of j with the next of i over the sum of their absolute values", own, "standard deviations", window),
        ("pca_residual_return_21d", "sum21(e) / sqrt(21), e = R / std_w(R) less its projection on the leading max(1, min(3, N/4)) eigenvectors of C, fitted before the session", "Avellaneda and Lee (2010), residuals", "standard deviations", window + 21),
        ("pca_residual_momentum_12_1", "sum(e) / (std(e) sqrt(231)) over e[t-251..t-21]", "Blitz, Huij and Martens (2011), factors by principal components", "standard deviations", window + MOMENTUM_FROM),
        ("absorption_ratio", "variance of the leading round(N/5) components over all, cov_w(R), every session", "Kritzman, Li, Page and Rigobon (2011), equation 1", "0 to 1", window),
        ("absorption_shift", "(mean15(a) - mean252(a)) / std252(a), a absorption_ratio", "Kritzman, Li, Page and Rigobon (2011), equation 2", "standard deviations", window + _YEAR - 1),
        ("return_5d_rank", "2 (rank - 1) / (n - 1) - 1 of return_5d within the universe, ties averaged", own, "-1 to 1", 5),
        ("return_63d_rank", "the same of return_63d", own, "-1 to 1", 63),
        ("distance_high_252_rank", "the same of distance_high_252", "George and Hwang (2004), ranked", "-1 to 1", 251),
        ("bollinger_z_20_rank", "the same of bollinger_z_20", own, "-1 to 1", 19),
        ("volatility_63_rank", "the same of std63(r)", "Ang, Hodrick, Xing and Zhang (2006), ranked", "-1 to 1", 63),
    )  # fmt: skip
    return tuple(
        Feature(name, "cross_asset_structure", formula, source, unit, lookback, ("adj_close",))
        for name, formula, source, unit, lookback in rows
    )


@dataclass(frozen=True)
class Graph:
    """A universe as seen at one session.

    Parameters
    ----------
    session
        Position of the session.
    members
        ``(M,)`` ascending asset numbers.
    deviation
        ``(M,)`` deviation of the returns of the window.
    columns
        ``(M,)`` per feature.
    cluster
        ``(M,)``.
    leads, vectors
        Who leads whom; loadings of the factors.
    """

    session: int
    members: np.ndarray
    deviation: np.ndarray
    columns: Mapping[str, np.ndarray]
    cluster: np.ndarray
    leads: structure.Leads
    vectors: np.ndarray


def memory_sessions(window: int) -> int:
    """Sessions before a row that it depends on: two months of graphs before a year of residuals."""
    return window + MOMENTUM_FROM + 80


def compute(bars: pl.DataFrame, config: TradingConfig | None = None) -> pl.DataFrame:
    """Compute the family.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`; only ``adj_close`` is read.
    config
        Gives the window.

    Returns
    -------
    polars.DataFrame
        Rows of ``features.cross_asset_structure``: one per bar, sorted by universe, symbol and
        time. Null before the first month with three assets whose windows have no gap.
    """
    window = (config or TradingConfig()).features.correlation_window_sessions
    names = [feature.name for feature in features_for(window)]
    prepared = prepare(bars)
    frames = [
        long_frame(panel, _panel_columns(panel, window))
        for panel in panels(simple_returns(prepared), "_simple")
    ]
    frame = prepared.select(KEY)
    frame = frame.join(pl.concat(frames), on=KEY, how="left") if frames else frame
    own = _own_features(prepared)
    frame = frame.join(own, on=KEY, how="left")
    if "_cluster" not in frame.columns:
        frame = frame.with_columns(_cluster=pl.lit(None, pl.Float64))
    frame = numbered(frame.sort(KEY))
    frame = frame.with_columns(_group=pl.col(DAY) * MAX_CLUSTERS + pl.col("_cluster"))
    frame = frame.with_columns(
        *(ranked(name).alias(f"{name}_rank") for name in _RANKED),
        *(relative(name, "_group").alias(f"cluster_relative_{name}") for name in _RELATIVE),
    )
    absent = [pl.lit(None, pl.Float64).alias(n) for n in names if n not in frame.columns]
    return undefined_to_null(frame.with_columns(absent).select(*KEY, *names))


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the number of its universe and session, a faster group than a text and a time."""
    days = frame.select("universe", "ts").unique().sort("universe", "ts")
    days = days.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias(DAY))
    return frame.join(days, on=["universe", "ts"], how="left", maintain_order="left")


def relative(name: str, group: str) -> pl.Expr:
    """`name` less its mean over the rest of the group; null without a rest or without a group."""
    value = pl.col(name)
    n = value.count().over(group)
    others = (value.sum().over(group) - value) / (n - 1).cast(pl.Float64)
    return pl.when(pl.col(group).is_not_null() & (n >= 2)).then(value - others)


def ranked(name: str) -> pl.Expr:
    """Rank of `name` within the day, -1 to 1; null for fewer than two values."""
    value = pl.col(name)
    n = value.count().over(DAY)
    rank = value.rank("average").over(DAY)
    return pl.when(n >= 2).then(2 * (rank - 1) / (n.cast(pl.Float64) - 1) - 1)


def _own_features(prepared: pl.DataFrame) -> pl.DataFrame:
    """Features of one symbol alone that are ranked or compared."""
    by_name = {f.name: f.expression for f in technical.FEATURES if f.expression is not None}
    by_name["volatility_63"] = pl.col("_r").rolling_std(63)
    wanted = dict.fromkeys((*_RANKED, *_RELATIVE))
    return undefined_to_null(
        prepared.select(*KEY, *(by_name[name].over(HISTORY).alias(name) for name in wanted))
    )


def months(ts: pl.Series) -> np.ndarray:
    """Positions of the sessions that open a month; the first session is none."""
    month = ts.dt.truncate("1mo")
    return np.flatnonzero((month != month.shift(1)).fill_null(False).to_numpy())


def graphs(panel: Panel, window: int) -> Iterator[Graph]:
    """The graph of each month with enough assets."""
    ready = complete(panel.values, window)
    before: Graph | None = None
    for session in months(panel.ts):
        members = np.flatnonzero(ready[session])
        if members.size < MIN_ASSETS:
            before = None
            continue
        returns = panel.values[session - window + 1 : session + 1][:, members]
        before = _graph(int(session), members, returns, before)
        yield before


def _graph(session: int, members: np.ndarray, returns: np.ndarray, before: Graph | None) -> Graph:
    z = structure.standardised(returns)
    shrinkage = structure.ledoit_wolf(z)
    correlation = structure.shrunk_correlation(z, shrinkage)
    distance = structure.distances(correlation)
    cluster = structure.clusters(distance)
    own, nearest, silhouette = structure.cluster_distances(distance, cluster)
    leads = structure.leads(z)
    whole = np.ones(members.size)
    columns = {
        "shrinkage_ledoit_wolf": shrinkage * whole,
        "shrinkage_oas": structure.oracle_approximation(z) * whole,
        "shrunk_mean_correlation": (correlation.sum(axis=1) - 1) / (members.size - 1),
        "network_degree": structure.network_degree(correlation, returns.shape[0]),
        "network_entropy": structure.network_entropy(correlation),
        "spanning_tree_degree": structure.spanning_tree_degree(distance),
        "cluster_distance_own": own,
        "cluster_distance_nearest": nearest,
        "cluster_silhouette": silhouette,
        "lead_lag_levy_area": leads.levy,
        "lead_lag_correlation": leads.correlation,
        "_cluster": cluster.astype(np.float64),
    }
    if before is not None:
        columns["cluster_persistence"] = structure.cluster_overlap(
            cluster, members, before.cluster, before.members
        )
    deviation = returns.std(axis=0, ddof=1)
    return Graph(session, members, deviation, columns, cluster, leads, structure.loadings(z))


_HELD = (
    "shrinkage_ledoit_wolf", "shrinkage_oas", "shrunk_mean_correlation", "network_degree",
    "network_entropy", "spanning_tree_degree", "cluster_distance_own", "cluster_distance_nearest",
    "cluster_silhouette", "cluster_persistence", "lead_lag_levy_area", "lead_lag_correlation",
    "_cluster",
)  # fmt: skip


def _panel_columns(panel: Panel, window: int) -> dict[str, np.ndarray]:
    """All columns of one universe that need its returns, ``(T, N)`` each."""
    returns = panel.values
    columns = {name: np.full(returns.shape, np.nan) for name in (*_HELD, "leaders_return_1d")}
    residual = np.full(returns.shape, np.nan)
    starts = months(panel.ts)
    for graph in graphs(panel, window):
        following = starts[starts > graph.session]
        end = int(following[0]) if following.size else returns.shape[0]
        held = np.ix_(np.arange(graph.session, end), graph.members)
        for name, values in graph.columns.items():
            columns[name][held] = values
        columns["leaders_return_1d"][held] = _pulled(returns[held] / graph.deviation, graph)
        # The session that opens the next month is still explained by this fit.
        after = np.ix_(np.arange(graph.session + 1, min(end + 1, returns.shape[0])), graph.members)
        residual[after] = structure.residuals(returns[after] / graph.deviation, graph.vectors)
    columns["pca_residual_return_21d"] = _windows(residual, MOMENTUM_TO, _scaled_sum)
    columns["pca_residual_momentum_12_1"] = _shifted(
        _windows(residual, MOMENTUM_FROM - MOMENTUM_TO, _score), MOMENTUM_TO
    )
    absorption = _absorption(panel, window)
    shift = _absorption_shift(absorption)
    for name, values in (("absorption_ratio", absorption), ("absorption_shift", shift)):
        columns[name] = np.repeat(values[:, None], returns.shape[1], axis=1)
    return columns


def _pulled(moves: np.ndarray, graph: Graph) -> np.ndarray:
    """What each asset's leaders did; assets without a return count as still."""
    return np.where(np.isfinite(moves), moves, 0.0) @ graph.leads.pull


def _absorption(panel: Panel, window: int) -> np.ndarray:
    found = np.full(panel.values.shape[0], np.nan)
    for block in covariance_blocks(panel.values, window):
        if block.members.size >= MIN_ASSETS:
            found[block.sessions] = structure.absorption_ratio(block.covariance)
    return found


def _absorption_shift(absorption: np.ndarray) -> np.ndarray:
    found = np.full(absorption.size, np.nan)
    if absorption.size < _YEAR:
        return found
    year = np.lib.stride_tricks.sliding_window_view(absorption, _YEAR)
    recent = year[:, -_RECENT:].mean(axis=1)
    deviation = year.std(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = (recent - year.mean(axis=1)) / deviation
    found[_YEAR - 1 :] = np.where(deviation > CONSTANT_BELOW, shift, np.nan)
    return found


def _windows(values: np.ndarray, length: int, statistic) -> np.ndarray:
    """`statistic` of each full window of each column; symbol by symbol, to stay small."""
    found = np.full(values.shape, np.nan)
    if values.shape[0] >= length:
        for column in range(values.shape[1]):
            window = np.lib.stride_tricks.sliding_window_view(values[:, column], length)
            found[length - 1 :, column] = statistic(window)
    return found


def _scaled_sum(window: np.ndarray) -> np.ndarray:
    return window.sum(axis=1) / math.sqrt(window.shape[1])


def _score(window: np.ndarray) -> np.ndarray:
    deviation = window.std(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        score = window.sum(axis=1) / (deviation * math.sqrt(window.shape[1]))
    return np.where(deviation > CONSTANT_BELOW, score, np.nan)


def _shifted(values: np.ndarray, sessions: int) -> np.ndarray:
    """`values` read so many sessions later."""
    found = np.full(values.shape, np.nan)
    if values.shape[0] > sessions:
        found[sessions:] = values[:-sessions]
    return found


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions for the windows of `config`."""
    return features_for(config.features.correlation_window_sessions)


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"], config)
