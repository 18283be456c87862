"""The features room in a notebook: OHLCV in, the same frame with features out.

Belongs here: `QuantumFeatureEngine`, which calls the same family functions the assets call. Does
not belong here: any formula.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts.features import NOT_DAILY
from btq_assets.features import intraday
from btq_assets.features.custom import all_families
from btq_assets.features.definitions import KEY, SYMBOL, FeatureError, undefined_to_null
from btq_assets.features.notebook_tables import shorter_bars, tables
from btq_assets.features.ohlcv import read_ohlcv

if TYPE_CHECKING:
    import pandas as pd

Frame = TypeVar("Frame", "pd.DataFrame", pl.DataFrame)


class QuantumFeatureEngine:
    """Feature engineering on OHLCV bars, without a warehouse.

    Computes every family that reads bars alone and, for several symbols, the cross-asset ones,
    with the very functions behind the ``features`` assets; also those of one's own
    (``features.custom_modules``). What else is handed over adds families: sectors of instruments
    the sector-relative one, their calendars the calendar's, shorter bars the multi-timeframe and
    realised-volatility ones.

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

    def engineer_features(
        self,
        ohlcv: Frame,
        *,
        instruments: pd.DataFrame | pl.DataFrame | None = None,
        shorter: Mapping[str, pd.DataFrame | pl.DataFrame] | None = None,
    ) -> Frame:
        """Append features to OHLCV bars.

        Parameters
        ----------
        ohlcv
            pandas or polars frame with ``close`` and, where known, ``open``, ``high``, ``low``,
            ``volume``, ``adj_close``, ``symbol`` and a time column or index, in any order.
        instruments
            ``symbol`` with ``sector`` and ``calendar`` (an exchange's code, or ``24/7``), either or
            both. A sector is taken to have held all along.
        shorter
            OHLCV frames of bars shorter than a day by length (``1m``, ``5m``, ``15m``, ``1h``),
            timed by their ends, as `ohlcv` must be then.

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
        for family in self._families(tables(bars, instruments, shorter)):
            on = [name for name in KEY if name in family.columns]
            frame = frame.join(family, on=on, how="left", maintain_order="left")
        frame = self._with_custom(frame)
        names = [name for name in frame.columns if name not in bars.columns]
        return given.with_features(frame.select("_row", *names))

    def engineer_intraday_features(self, ohlcv: Frame, freq: str) -> Frame:
        """Append the features of ``features.intraday`` to OHLCV bars shorter than a day.

        Parameters
        ----------
        ohlcv
            As in `engineer_features`, timed by the ends of the bars.
        freq
            Their length: ``1m``, ``5m``, ``15m`` or ``1h``.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            The same rows, order and index with one float column per feature.

        Raises
        ------
        FeatureError
            The frame cannot be read, or there is no such length.
        """
        if freq not in intraday.LENGTHS:
            raise FeatureError(
                f"no bar length is called {freq!r}; there are {', '.join(intraday.LENGTHS)}"
            )
        given = read_ohlcv(ohlcv)
        found = intraday.compute({freq: shorter_bars(ohlcv)}).drop("freq", "known_at")
        return given.with_features(
            given.bars.select("_row", *KEY).join(found, on=KEY, how="left").drop(KEY)
        )

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

    def _families(self, known: Mapping[str, pl.DataFrame]) -> Iterable[pl.DataFrame]:
        several = known["bars"]["symbol"].n_unique() > 1
        columns = known["instruments"].columns if "instruments" in known else []
        of_instruments = {"sector_relative": "sector", "calendar": "calendar"}
        for family in all_families(self.config):
            needed = of_instruments.get(family.name)
            if (
                set(family.inputs) <= set(known)
                and family.name not in NOT_DAILY
                and (needed is None or needed in columns)
                and family.enabled(self.config)
                and (several or family.name not in ("cross_asset", "sector_relative"))
            ):
                yield family.compute({name: known[name] for name in family.inputs}, self.config)

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
