"""The features room in a notebook: OHLCV in, the same frame with features out.

Belongs here: `QuantumFeatureEngine`, which calls the same family functions the assets call. Does
not belong here: any formula.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.features.custom import all_families
from btq_assets.features.definitions import KEY, SYMBOL, FeatureError, undefined_to_null
from btq_assets.features.ohlcv import read_ohlcv

if TYPE_CHECKING:
    import pandas as pd

Frame = TypeVar("Frame", "pd.DataFrame", pl.DataFrame)


class QuantumFeatureEngine:
    """Feature engineering on OHLCV bars, without a warehouse.

    Computes the technical, volatility, microstructure and quantum-inspired families and, for
    several symbols, the cross-asset one, with the very functions behind the ``features`` assets.

    Parameters
    ----------
    config
        Configuration; only ``features`` and the name of the FX universe are read.

    Examples
    --------
    A feature of one's own, evaluated over each symbol's history:

    >>> class Mine(QuantumFeatureEngine):
    ...     def custom_features(self, frame):
    ...         return [(pl.col("close") / pl.col("open") - 1).alias("body")]
    """

    def __init__(self, config: TradingConfig | None = None) -> None:
        self.config = config or TradingConfig()

    def engineer_features(self, ohlcv: Frame) -> Frame:
        """Append features to OHLCV bars.

        Parameters
        ----------
        ohlcv
            pandas or polars frame with ``close`` and, where known, ``open``, ``high``, ``low``,
            ``volume``, ``adj_close``, ``symbol`` and a time column or index, in any order.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            The same rows, order and index with one float column per feature; undefined values are
            NaN in pandas, null in polars.

        Raises
        ------
        FeatureError
            The frame cannot be read, or a custom feature does not fit it.
        """
        given = read_ohlcv(ohlcv)
        bars = given.bars
        frame = bars.sort(KEY)
        for family in self._families(bars):
            frame = frame.join(family, on=KEY, how="left", maintain_order="left")
        frame = self._with_custom(frame)
        names = [name for name in frame.columns if name not in bars.columns]
        return given.with_features(frame.select("_row", *names))

    def custom_features(self, frame: pl.DataFrame) -> Iterable[pl.Expr] | pl.DataFrame:
        """Add features of one's own; override in a subclass.

        Parameters
        ----------
        frame
            Bars with all built-in features: ``universe``, ``symbol``, ``ts``, prices, features,
            sorted by symbol and time.

        Returns
        -------
        iterable of polars.Expr, or polars.DataFrame
            Named expressions, each evaluated over one symbol's history in time order (so that
            ``shift`` and ``rolling_*`` never cross symbols); or a frame with ``symbol``, ``ts``
            and new columns. Look backwards only: nothing stops an expression here from reading
            the future.
        """
        return ()

    def _families(self, bars: pl.DataFrame) -> Iterable[pl.DataFrame]:
        several = bars["symbol"].n_unique() > 1
        for family in all_families(self.config):
            reads_bars_alone = set(family.inputs) == {"bars"}
            if (
                reads_bars_alone
                and family.enabled(self.config)
                and (several or family.name != "cross_asset")
            ):
                yield family.compute({"bars": bars}, self.config)

    def _with_custom(self, frame: pl.DataFrame) -> pl.DataFrame:
        custom = self.custom_features(frame)
        if isinstance(custom, pl.DataFrame):
            missing = [name for name in ("symbol", "ts") if name not in custom.columns]
            if missing:
                raise FeatureError(f"custom_features returned a frame without {missing}")
            added = custom.drop("universe", strict=False)
            extended = frame.join(added, on=["symbol", "ts"], how="left", maintain_order="left")
            if extended.height != frame.height:
                raise FeatureError("custom_features returned several rows for a symbol and time")
        else:
            expressions = list(custom)
            names = [expression.meta.output_name() for expression in expressions]
            taken = sorted(set(names) & set(frame.columns))
            if taken:
                raise FeatureError(f"custom feature(s) {taken} have the name of an existing column")
            extended = frame.with_columns(
                expression.over(SYMBOL).alias(name)
                for expression, name in zip(expressions, names, strict=True)
            )
        return undefined_to_null(extended)
