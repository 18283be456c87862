"""Tables models learn from: the training set, which columns of it are features, its folds.

Belongs here: ``models.training_set`` for any choice of families, ``models.splits``. Does not belong here:
tables of the families (`features`), what models give (`forecasts`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from btq_assets.config.feature_families import DEFAULT_FAMILIES
from btq_assets.contracts import features
from btq_assets.contracts.base import Column, TableContract
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, count, flag, number, stamp, text


@dataclass(frozen=True)
class FeatureColumns:
    """Feature columns on offer to a model.

    Parameters
    ----------
    asset
        Columns with one value per asset and session.
    market
        Columns with one value per session for the whole universe.
    """

    asset: tuple[str, ...]
    market: tuple[str, ...]


_REGIME_COLUMNS = (
    number(
        "regime_p_turbulent",
        "Filtered probability of the high-variance state of the universe.",
        minimum=0,
        maximum=1,
    ),
    number(
        "regime_trend",
        "Trailing 12-month trend of the universe: 1 bull, 0 sideways, -1 bear.",
        minimum=-1,
        maximum=1,
    ),
    number(
        "regime_volatility_annual",
        "Annualised volatility of the state mixture: root of the probability-weighted variances.",
        minimum=0,
    ),
)


def feature_columns(families: Iterable[TableContract]) -> FeatureColumns:
    """Feature columns of a training set made of `families`; those of the regimes come last."""
    asset, market = _by_reach(families)
    return FeatureColumns(
        tuple(column.name for column in asset),
        (*(column.name for column in market), *(column.name for column in _REGIME_COLUMNS)),
    )


def training_set_contract(
    families: Iterable[TableContract],
    *,
    further_horizons: Iterable[int] = (),
    weighted: bool = False,
) -> TableContract:
    """Contract of ``models.training_set`` made of `families`, the tables of feature families.

    Parameters
    ----------
    families
        Contracts of the tables.
    further_horizons
        Sessions of horizons that are learnt beside the one strategies read.
    weighted
        Whether rows carry weights.
    """
    asset, market = _by_reach(families)
    return TableContract(
        layer="models",
        name="training_set",
        description="Every session of the main universe with its features, its relative label and whether a decision is taken on it. Features known at ts; labels only later. models.feature_families chooses the features.",
        columns=(
            UNIVERSE,
            SYMBOL,
            TS,
            flag("is_decision", "Whether the strategies decide on this session."),
            text(
                "sector",
                "Sector of the asset in the session by its membership of then, where known; relates assets, is no feature.",
                nullable=True,
            ),
            number("session_return", "Simple return since the universe's previous session."),
            number(
                "label",
                "Fill-to-fill return minus the mean of the universe at the same ts; null until it is filled.",
            ),
            number("label_raw", "Fill-to-fill return; null until it is filled."),
            stamp("label_start_ts", "Fill that follows the decision.", nullable=True),
            stamp("label_end_ts", "Fill that ends the label.", nullable=True),
            *asset,
            *market,
            *_REGIME_COLUMNS,
            *_label_columns(tuple(further_horizons), weighted=weighted),
        ),
        key=("universe", "symbol", "ts"),
    )


def _label_columns(horizons: tuple[int, ...], *, weighted: bool) -> tuple[Column, ...]:
    """Columns of further horizons and of weights."""
    found = [
        column
        for h in horizons
        for column in (
            number(f"label_{h}", f"As label, over {h} sessions."),
            number(f"label_raw_{h}", f"As label_raw, over {h} sessions."),
        )
    ]
    if weighted:
        names = ("sample_weight", *(f"sample_weight_{h}" for h in horizons))
        found += [
            number(name, "Average uniqueness of the label (features.labels).", minimum=0)
            for name in names
        ]
    return tuple(found)


def _by_reach(families: Iterable[TableContract]) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Feature columns with a value per asset, and those with one for the whole universe."""
    found: tuple[list[Column], list[Column]] = ([], [])
    for contract in families:
        names = features.columns_of(contract)
        found["symbol" not in contract.key].extend(
            replace(contract.column(name), nullable=True) for name in names
        )
    return tuple(found[0]), tuple(found[1])


_DEFAULT = tuple(features.FAMILY_CONTRACTS[name] for name in DEFAULT_FAMILIES)

#: The training set of the default `models.feature_families`; another choice has other columns.
TRAINING_SET = training_set_contract(_DEFAULT)

#: Feature columns of that training set.
DEFAULT_COLUMNS = feature_columns(_DEFAULT)

SPLITS = TableContract(
    layer="models",
    name="splits",
    description="Purged walk-forward folds. Boundaries come from the calendar and the configuration, never from where the data end.",
    columns=(
        UNIVERSE,
        count("fold", "Fold number, 0 first."),
        stamp("train_start", "First decision of the training segment."),
        stamp(
            "train_end",
            "Last decision of the training segment whose label is filled by validation_start.",
        ),
        stamp(
            "validation_start", "First decision of the early-stopping and hyper-parameter segment."
        ),
        stamp("validation_end", "Last decision of it whose label is filled by test_start."),
        stamp("test_start", "First decision of the test segment."),
        stamp("test_end", "Last decision of the test segment."),
        count("n_purged", "Decisions dropped because their label overlaps the next segment."),
    ),
    key=("universe", "fold"),
)
