"""What a family of features is: its table, what it reads, how far back, how it is shown.

Belongs here: the class, and leaving generated rows out of real universes. Does not belong here: any
family; those are declared beside this module, by what they read.

A family's module offers two functions: ``features_of(config)`` gives its definitions,
``compute_from(inputs, config)`` its rows. It is imported when first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import FeaturesSection, TradingConfig
from btq_assets.contracts import core
from btq_assets.contracts.base import TableContract
from btq_assets.features.definitions import OHLCV, Feature

#: Universe and source of generated rows.
GENERATED = "synthetic"

_RANGES = frozenset((*OHLCV, "adj_open", "adj_high", "adj_low")) - {"close"}

#: Bar lengths as they are named among a feature's needs.
_SHORTER_THAN_A_DAY = frozenset(("1m", "5m", "15m", "1h"))


@dataclass(frozen=True)
class Family:
    """One family of features.

    Parameters
    ----------
    contract
        Its table; the table's name is the family's.
    shown
        Feature whose distribution the asset draws.
    note
        What a reader must know, for the reference page.
    inputs
        Tables it reads, by the name `compute_from` knows them by.
    memory_sessions
        Sessions before a row that the row depends on, for a configuration; ``None``: all of them.
        Cutting older ones away changes no value by more than rounding.
    whole
        Tables of which a tail keeps all rows; others are cut with the bars.
    uncut
        Tables whose symbols keep all of their bars.
    complete
        Columns without which a session does not count towards the memory, of symbols whose new bars
        have them: windows of rows that are complete.
    gated_whole
        Whether the truncation gate keeps all sessions although the memory is finite.
    symbols
        Symbols per universe the truncation gate recomputes; ``None`` where symbols read one
        another, so that all are needed.
    requires
        Richest kind of data read, one of `contracts.features.REQUIREMENTS`; ``"close"`` families
        say per feature whether they need the whole bar.
    module
        Module below `btq_assets.features`; the family's name unless given.
    code
        Further modules below `btq_assets` whose source the values depend on.
    config
        Sections of the configuration read.
    optional
        Whether the family is in the graph, for a configuration; ``None``: always.
    switched_off
        Features a configuration leaves null.
    absent_as_empty
        Whether a table it reads may be absent because its source is switched off; it arrives empty.
    """

    contract: TableContract
    shown: str
    note: str
    inputs: Mapping[str, TableContract] = field(default_factory=lambda: {"bars": core.BARS_1D})
    memory_sessions: Callable[[FeaturesSection], int] | None = None
    whole: tuple[str, ...] = ()
    uncut: tuple[str, ...] = ()
    complete: tuple[str, ...] = ()
    gated_whole: bool = False
    symbols: int | None = 2
    requires: str = "close"
    module: str = ""
    code: tuple[str, ...] = ()
    #: The universes too: naming the generated one lets its rows in.
    config: tuple[str, ...] = ("features", "universe")
    optional: Callable[[TradingConfig], bool] | None = None
    switched_off: Callable[[FeaturesSection], Iterable[str]] = lambda _: ()
    absent_as_empty: bool = False

    @property
    def name(self) -> str:
        """Name of the family and of its table."""
        return self.contract.name

    @property
    def code_modules(self) -> tuple[str, ...]:
        """Modules whose source decides the values."""
        return (f"features.{self.module or self.name}", *self.code)

    def features(self, config: TradingConfig) -> tuple[Feature, ...]:
        """Definitions of the family, for the windows of `config`."""
        return self._module().features_of(config)

    def compute(self, inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
        """Rows of the family's table.

        Parameters
        ----------
        inputs
            A frame for each of ``self.inputs``.
        config
            Windows and switches.
        """
        return self._module().compute_from(observed(inputs, config), config)

    def compute_since(
        self, inputs: Mapping[str, pl.DataFrame], config: TradingConfig, since: datetime
    ) -> pl.DataFrame:
        """Rows of which only those at or after `since` will be read; others may be unfinished."""
        shorter = getattr(self._module(), "compute_since", None)
        if shorter is None:
            return self.compute(inputs, config)
        return shorter(observed(inputs, config), config, since)

    @property
    def continues(self) -> bool:
        """Whether its module computes new rows without the older ones (`compute_since`)."""
        return hasattr(self._module(), "compute_since")

    @property
    def landmarks(self) -> Callable[[pl.DataFrame], NDArray[np.int64]] | None:
        """Which rows of the bars are kept however old they are; the module's ``landmarks``."""
        found: Callable[[pl.DataFrame], NDArray[np.int64]] | None
        found = getattr(self._module(), "landmarks", None)
        return found

    @property
    def gate_sessions(self) -> Callable[[FeaturesSection], int] | None:
        """Sessions the truncation gate keeps; all of them where a tail keeps more than those."""
        more = self.gated_whole or self.whole or self.uncut or self.complete or self.landmarks
        return None if more else self.memory_sessions

    def requirement(self, feature: Feature) -> str:
        """Richest kind of data `feature` reads."""
        if any(name.endswith(" of trades") for name in feature.needs):
            return "trades"
        if any(_SHORTER_THAN_A_DAY & set(name.split()) for name in feature.needs):
            return "intraday"
        if self.requires != "close":
            return self.requires
        return "ohlcv" if _RANGES & set(feature.needs) else "close"

    def not_expected(self, features: FeaturesSection) -> tuple[str, ...]:
        """Features that may be null throughout: switched off, or of inputs the family does without."""
        optional = (
            feature.name
            for feature in self.features(TradingConfig())
            if self.absent_as_empty
            and self.requirement(feature) != self.requires
            and self.requirement(feature) in ("intraday", "trades", "quotes", "book")
        )
        return (*self.switched_off(features), *optional)

    def enabled(self, config: TradingConfig) -> bool:
        """Whether the configuration has the family in the graph."""
        return self.optional is None or self.optional(config)

    def _module(self):
        return import_module(f"btq_assets.features.{self.module or self.name}")


def observed(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> dict[str, pl.DataFrame]:
    """Inputs without generated rows, unless the configuration names their universe.

    Generated bars and documents are in core beside real ones, for whoever asks for them; no
    feature of a real universe may read them.
    """
    universes = config.universe
    if GENERATED in (universes.main, universes.ohlcv, universes.cross_asset):
        return dict(inputs)
    generated = {"universe": GENERATED, "source": GENERATED}
    kept = {}
    for name, frame in inputs.items():
        rules = [pl.col(c) != value for c, value in generated.items() if c in frame.columns]
        kept[name] = frame.filter(*rules) if rules else frame
    return kept
