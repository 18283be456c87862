"""Features of one's own, registered by a line of configuration.

Belongs here: reading the modules that ``features.custom_modules`` names, and the family they make.
Does not belong here: any feature; subclassing the engine in a notebook (`engine`).

A module offers ``FEATURES``, a tuple of `Feature` with an expression. Together they are the table
``features.custom``: contract, catalogue rows, suite, truncation gate and presence check are those of
the house's own families. How far back an expression looks is read off itself (`reach`); where that
cannot be told, all of the history is computed each time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.columns import number
from btq_assets.contracts.features.family import family as family_contract
from btq_assets.features.definitions import Feature, FeatureError, evaluate, prepare
from btq_assets.features.families import FAMILIES, Family
from btq_assets.features.reach import reach_of

NAME = "custom"
_COLUMN = re.compile(r"^[a-z][a-z0-9_]{0,62}$")


def all_families(config: TradingConfig) -> tuple[Family, ...]:
    """The house's families, and the user's where the configuration names any."""
    own = custom_family(config)
    return FAMILIES if own is None else (*FAMILIES, own)


def custom_family(config: TradingConfig) -> Family | None:
    """The family of ``features.custom_modules``; ``None`` where it names none.

    Raises
    ------
    FeatureError
        A module cannot be read, or one of its features is not fit for a table.
    """
    modules = config.features.custom_modules
    if not modules:
        return None
    features = features_of(config)
    contract = family_contract(
        NAME,
        "Features of one's own, from the modules named in features.custom_modules.",
        tuple(number(f.name, f"{f.formula} ({f.unit}).") for f in features),
    )
    sessions = _memory(features)
    return Family(
        contract,
        memory_sessions=None if sessions is None else lambda _: sessions,
        # An expression may show `_p` itself, which counts from the first bar of all.
        gated_whole=True,
        shown=features[0].name,
        note=f"Registered by `features.custom_modules`: {', '.join(modules)}.",
        symbols=2,
        module=NAME,
    )


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions of all custom modules, in their order."""
    return _read(config.features.custom_modules)


def stages_of(config: TradingConfig) -> tuple[dict[str, pl.Expr], ...]:
    """No intermediate columns: an expression of one's own stands alone."""
    return ()


def _memory(features: tuple[Feature, ...]) -> int | None:
    """Sessions the expressions read, as far as they can be read themselves; else ``None``."""
    found = [reach_of(f.expression) for f in features if f.expression is not None]
    known = [sessions for sessions in found if sessions is not None]
    return max(known) + 1 if len(known) == len(found) else None


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Rows of ``features.custom``: one per bar with a price, sorted by its key."""
    return evaluate(prepare(inputs["bars"]), (), features_of(config))


@cache
def _read(modules: tuple[str, ...]) -> tuple[Feature, ...]:
    taken = {c.name: f.name for f in FAMILIES for c in f.contract.columns}
    found: list[Feature] = []
    for module in modules:
        for feature in _features_in(module):
            where = f"{module}: feature {feature.name!r}"
            if not _COLUMN.match(feature.name):
                raise FeatureError(
                    f"{where}: a name has small letters, digits and _, and begins with a letter"
                )
            if feature.name in taken:
                raise FeatureError(f"{where}: the name is taken by {taken[feature.name]}")
            if feature.expression is None:
                raise FeatureError(
                    f"{where} has no expression; what reads several symbols is a subclass of "
                    "QuantumFeatureEngine"
                )
            taken[feature.name] = module
            found.append(replace(feature, family=NAME))
    return tuple(found)


def _features_in(module: str) -> tuple[Feature, ...]:
    try:
        offered = import_module(module)
    except ModuleNotFoundError as error:
        raise FeatureError(
            f"features.custom_modules names {module!r}, but there is no module {error.name!r}; "
            "install the package, or put its folder on PYTHONPATH"
        ) from error
    features = getattr(offered, "FEATURES", None)
    if not isinstance(features, tuple | list) or not features:
        raise FeatureError(f"{module} offers no FEATURES, a tuple of Feature with an expression")
    strange = [type(item).__name__ for item in features if not isinstance(item, Feature)]
    if strange:
        raise FeatureError(f"{module}.FEATURES holds {strange[0]}, not Feature")
    return tuple(features)
