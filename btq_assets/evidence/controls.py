"""Whether the joint tests see an edge that was put there.

Belongs here: planting an edge among real trials and asking the same tests. Does not belong here:
controls that train models (the backtest room's).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from btq_assets.evidence.selection import Competition, SelectionSettings, selection_tables

#: t-value of the planted edge, measured by the trial's own difference to 1/N: far beyond what any
#: correction for a few hundred trials asks.
PLANTED_T = 10.0


@dataclass(frozen=True)
class PlantedEdge:
    """One edge and whether it was seen.

    Attributes
    ----------
    universe, strategy
        Where it was planted.
    edge_annual
        Mean return added, per year.
    found
        Whether the trial is among the superior ones, its q-value is below 5 % and, the best in
        every part of the days as it now is, choosing it is no overfitting.
    """

    universe: str
    strategy: str
    edge_annual: float
    found: bool


def planted_edges(found: list[Competition], settings: SelectionSettings) -> list[PlantedEdge]:
    """Give the worst candidate of each competition an edge over 1/N and repeat the tests.

    Parameters
    ----------
    found
        From `competitions`. One that is too small to be judged is left out.
    settings
        As for the tests themselves.
    """
    return [answer for one in found if (answer := _planted(one, settings)) is not None]


def _planted(one: Competition, settings: SelectionSettings) -> PlantedEdge | None:
    if one.note:
        return None
    difference = one.returns - one.reference[:, None]
    spread = difference.std(axis=0, ddof=1)
    means = np.where(spread > 1e-12, difference.mean(axis=0), np.inf)
    worst = int(np.argmin(means))
    target = PLANTED_T * spread[worst] / np.sqrt(len(difference))
    edge = max(target, float(difference.mean(axis=0).max()) + target) - means[worst]
    returns = one.returns.copy()
    returns[:, worst] += edge
    table, standing = selection_tables([replace(one, returns=returns)], settings)
    own = standing.row(worst, named=True)
    seen = (
        bool(own["superior"])
        and own["q_value"] < 0.05
        and table["overfitting_probability"][0] < 0.5
        and table["spa_consistent_p"][0] < 0.05
    )
    return PlantedEdge(
        one.universe, own["strategy"], float(edge * settings.periods_per_year), bool(seen)
    )
