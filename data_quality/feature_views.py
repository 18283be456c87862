"""Views of a feature table: one row per universe and column, from its values alone.

Belongs here: shares of missing values, spans, ranges and shifts of feature columns. Does not
belong here: thresholds and bounds (`suites`), any knowledge of a formula.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

import polars as pl
import polars.selectors as cs

from btq_assets.contracts.base import TableContract

#: Sessions of the recent stretch that the rest is compared with.
_RECENT_SESSIONS = 252

#: Values a feature must have before it can be called constant.
_FEWEST_VALUES = 100

#: Interdecile ranges from the median beyond which a value is far out; 38 deviations if normal.
_FAR_OUT_WIDTHS = 15.0

#: Positive features that span orders of magnitude over decades by nature; their logarithm is what
#: lies near or far. Amihud (2002) takes that of his ratio too.
_LOGARITHMIC = r"^amihud"

#: Features that keep their value from day to day by nature.
_STEADY = r"_rank$|^alpha158_(imax|imin|imxd|rank|cntp|cntn|cntd)|^talib_(cdl|fractal|supertrend_side|aroonosc|ht_trendmode)"

#: Features that keep one value until something rare happens, which it may never do: a pattern, or
#: shares outnumbering the money they are worth.
_RARE = r"^talib_cdl|^alpha101_007$"

#: Features that keep the value of a monthly release until the next one, and the days after which
#: there must have been another: two months and the lag of a late release.
_RELEASED = r"_surprise_(rw|ar)$"
_RELEASED_DAYS = 100

Bounds = Mapping[str, tuple[float, float]]


def feature_columns(contract: TableContract) -> list[str]:
    """Float columns outside the key."""
    return [c.name for c in contract.columns if c.is_float and c.name not in contract.key]


def columns_view(
    contract: TableContract, definition: Bounds, plausible: Bounds
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Make the view: one row per universe and feature that has any value in that universe.

    A feature that is missing throughout a universe is absent by construction there (no highs and
    lows, say), which is no fault.

    Parameters
    ----------
    contract
        Table of a feature family.
    definition, plausible
        Bounds a value obeys by definition, and bounds a sane market keeps to, by column.

    Returns
    -------
    callable
        Frame of the table -> ``universe``, ``feature``, ``hole_fraction`` (missing between the
        first and last value of a symbol), ``present_fraction``, ``excess_over_definition`` and
        ``excess_over_plausible`` (distance of the worst value from its bounds),
        ``far_out_fraction`` (of features without bounds), ``stale_fraction`` (equal to the symbol's previous value) and
        ``shift_in_widths`` (recent median against the earlier one, in interdecile ranges).
    """
    names = feature_columns(contract)
    series = [name for name in ("universe", "symbol") if name in contract.column_names]

    def compute(frame: pl.DataFrame) -> pl.DataFrame:
        ordered = frame.sort(*series, "ts").with_columns(
            recent=(pl.int_range(pl.len()) >= pl.len() - _RECENT_SESSIONS).over(series)
        )
        # A pass over the symbols, one over the universes and one for what lies far out, for all
        # features at once.
        counts = (
            ordered.group_by(series)
            .agg(measure for name in names for measure in _counts(name))
            .group_by("universe")
            .agg(pl.exclude(series).sum())
        )
        quantiles = ordered.group_by("universe").agg(
            pl.len(), *(measure for name in names for measure in _quantiles(name))
        )
        far_out = (
            ordered.select("universe", *names)
            .join(quantiles, on="universe")
            .group_by("universe")
            .agg(_far_out(name) for name in names)
        )
        wide = counts.join(quantiles, on="universe").join(far_out, on="universe")
        parts = [
            _described(
                wide,
                name,
                definition.get(name),
                plausible.get(name),
                bounded=name in definition or _is_bounded(contract, name),
            )
            for name in names
        ]
        return pl.concat(parts).sort("universe", "feature")

    return compute


def _counts(name: str) -> tuple[pl.Expr, ...]:
    """Of one symbol: values, rows between the first and the last of them, repeated values."""
    value = pl.col(name)
    places = value.is_not_null().arg_true()
    return (
        value.count().alias(f"{name}:values"),
        (places.last() - places.first() + 1).fill_null(0).alias(f"{name}:inside"),
        (value == value.shift(1)).sum().alias(f"{name}:stale"),
    )


def _quantiles(name: str) -> Iterable[pl.Expr]:
    """Of one universe: extremes and deciles, of all values, of the earlier and the recent ones."""
    value = pl.col(name)
    yield value.min().alias(f"{name}:lowest")
    yield value.max().alias(f"{name}:highest")
    for tenth in (1, 5, 9):
        yield _scaled(name).quantile(tenth / 10).alias(f"{name}:scaled:{tenth}")
    yield value.filter(pl.col("recent")).median().alias(f"{name}:recent")
    early = value.filter(~pl.col("recent"))
    for tenth in (1, 5, 9):
        yield early.quantile(tenth / 10).alias(f"{name}:early:{tenth}")


def _width(name: str, part: str) -> pl.Expr:
    """Interdecile range; the interquartile range of a sparse feature is often zero."""
    return pl.col(f"{name}:{part}:9") - pl.col(f"{name}:{part}:1")


def _far_out(name: str) -> pl.Expr:
    distance = (_scaled(name) - pl.col(f"{name}:scaled:5")).abs()
    return (distance > _FAR_OUT_WIDTHS * _width(name, "scaled")).mean().alias(f"{name}:far_out")


def _scaled(name: str) -> pl.Expr:
    """The feature on the scale on which distances mean something."""
    value = pl.col(name)
    if re.search(_LOGARITHMIC, name) is None:
        return value
    return pl.when(value > 0).then(value.log())


def _described(
    wide: pl.DataFrame,
    name: str,
    definition: tuple[float, float] | None,
    plausible: tuple[float, float] | None,
    *,
    bounded: bool,
) -> pl.DataFrame:
    values = pl.col(f"{name}:values")
    extremes = (pl.col(f"{name}:lowest"), pl.col(f"{name}:highest"))
    steady = re.search(_STEADY, name) is not None
    shift = (pl.col(f"{name}:recent") - pl.col(f"{name}:early:5")).abs() / _width(name, "early")
    return (
        wide.filter(values > 0)
        .select(
            "universe",
            feature=pl.lit(name),
            hole_fraction=1 - values / pl.col(f"{name}:inside"),
            present_fraction=values / pl.col("len"),
            excess_over_definition=_excess(definition, *extremes),
            excess_over_plausible=_excess(plausible, *extremes),
            far_out_fraction=pl.lit(None, pl.Float64)
            if bounded
            else pl.when(_width(name, "scaled") > 0).then(f"{name}:far_out"),
            stale_fraction=pl.lit(None, pl.Float64) if steady else pl.col(f"{name}:stale") / values,
            shift_in_widths=pl.when(_width(name, "early") > 0).then(shift),
        )
        .with_columns(cs.float().cast(pl.Float64))
    )


def whole_columns(contract: TableContract) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Make the view: one row per feature over all universes, with its number of distinct values.

    A feature with fewer than a hundred values is left out: it may be switched off, or be young;
    and so is what has one value until something rare occurs, and what is released monthly while
    its values span no second release.
    """
    names = [name for name in feature_columns(contract) if re.search(_RARE, name) is None]

    def compute(frame: pl.DataFrame) -> pl.DataFrame:
        rows = [
            (name, frame[name].drop_nulls().n_unique())
            for name in names
            if frame[name].count() >= _FEWEST_VALUES and _spans_releases(frame, name)
        ]
        return pl.DataFrame(
            rows, schema={"feature": pl.String, "n_distinct": pl.Int64}, orient="row"
        )

    return compute


def _spans_releases(frame: pl.DataFrame, name: str) -> bool:
    if re.search(_RELEASED, name) is None:
        return True
    known = frame.filter(pl.col(name).is_not_null()).select(
        span=pl.col("ts").max() - pl.col("ts").min()
    )
    return bool(known.item() >= timedelta(days=_RELEASED_DAYS))


def _is_bounded(contract: TableContract, name: str) -> bool:
    column = contract.column(name)
    return column.minimum is not None and column.maximum is not None


def _excess(bounds: tuple[float, float] | None, lowest: pl.Expr, highest: pl.Expr) -> pl.Expr:
    if bounds is None:
        return pl.lit(None, dtype=pl.Float64)
    return pl.max_horizontal(bounds[0] - lowest, highest - bounds[1], pl.lit(0.0))
