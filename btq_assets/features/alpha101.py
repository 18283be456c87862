"""The 101 formulaic alphas of Kakushadze (2016).

Belongs here: definitions, bars as matrices, and rows out. Does not belong here: the formulas
(`alpha101_paper`), their notation (`formulas`) and conventions (`formula_values`).

A formula that no split or dividend can change reads adjusted prices and shares; the others compare or
rank prices of different symbols, or add numbers to them, and read prices as traded, as in the paper.
Returns are total returns always, and ``adv20`` is the mean value traded.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.config import TradingConfig
from btq_assets.features.alpha101_paper import PAPER
from btq_assets.features.definitions import KEY, OHLCV, Feature, has_columns, prepare
from btq_assets.features.formulas import Node, is_scale_free, lookback, names, parse

FAMILY = "alpha101"
SOURCE = "Kakushadze (2016), appendix A"

#: Columns of bars beyond the prices that some formulas need, by their name there.
EXTRA: dict[str, str] = {
    "vwap": "vwap",
    "cap": "cap",
    "indclass.sector": "sector",
    "indclass.industry": "industry",
    "indclass.subindustry": "subindustry",
}
_ADJUSTED = tuple(f"adj_{name}" for name in OHLCV[:4])
_FORMULAS: tuple[Node, ...] = tuple(parse(text) for text in PAPER)


def _needs(formula: Node) -> tuple[str, ...]:
    adjusted = is_scale_free(formula)
    needs: list[str] = []
    for name in names(formula):
        if name == "returns":
            needs.append("adj_close")
        elif name.startswith("adv"):
            needs += ["close", "volume"]
        elif name == "volume":
            needs += ["volume", "close", "adj_close"] if adjusted else ["volume"]
        elif name == "vwap" and adjusted:
            needs += ["vwap", "close", "adj_close"]
        else:
            needs.append(EXTRA.get(name, f"adj_{name}" if adjusted else name))
    return tuple(dict.fromkeys(needs))


FEATURES: tuple[Feature, ...] = tuple(
    Feature(
        f"alpha101_{number:03d}",
        FAMILY,
        text,
        f"{SOURCE}, #{number}",
        "as the formula",
        lookback(formula),
        _needs(formula),
        is_scale_free(formula),
    )
    for number, (text, formula) in enumerate(zip(PAPER, _FORMULAS, strict=True), 1)
)

#: Sessions before a row that it depends on.
MEMORY_SESSIONS = max(feature.lookback_sessions for feature in FEATURES) + 20

#: Alphas that read what no table of bars has: a volume-weighted price, a capitalisation, a
#: classification of the time.
WITHOUT_SOURCE: tuple[str, ...] = tuple(
    feature.name
    for feature, formula in zip(FEATURES, _FORMULAS, strict=True)
    if set(EXTRA) & set(names(formula))
)


def compute(bars: pl.DataFrame, numbers: tuple[int, ...] = tuple(range(1, 102))) -> pl.DataFrame:
    """Compute alphas.

    Parameters
    ----------
    bars
        Rows of `core.bars_1d`, in any order. Columns ``vwap`` (as traded), ``cap``, ``sector``,
        ``industry`` and ``subindustry`` are read where given; what needs one that is not is null.
    numbers
        Alphas by their number in the paper.

    Returns
    -------
    polars.DataFrame
        One row per bar with open, high, low, close and volume, sorted by universe, symbol and time;
        float32, undefined values null.

    Raises
    ------
    FeatureError
        A column is missing, or a symbol has two rows at one time.
    """
    columns = (*OHLCV, *_ADJUSTED)
    finite = pl.all_horizontal(pl.col(columns).is_finite()).fill_null(False)
    frame = prepare(has_columns(bars, columns)).filter(finite)
    parts = [
        universe.select(KEY).hstack(_universe(universe, numbers))
        for universe in frame.partition_by("universe", maintain_order=True)
    ]
    if not parts:
        empty = {FEATURES[number - 1].name: pl.Float32 for number in numbers}
        return frame.select(KEY).hstack(pl.DataFrame(schema=empty))
    return pl.concat(parts)


def _universe(bars: pl.DataFrame, numbers: tuple[int, ...]) -> list[pl.Series]:
    """Alphas of one universe, in the order of its rows."""
    from btq_assets.features.formula_values import Values

    symbol = bars["symbol"].rank("dense").to_numpy().astype(np.int64) - 1
    session = bars["ts"].rank("dense").to_numpy().astype(np.int64) - 1
    shape = (int(symbol.max()) + 1, int(session.max()) + 1)

    def matrix(values: pl.Series) -> NDArray[np.float64]:
        found = np.full(shape, np.nan)
        given = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
        found[symbol, session] = np.where(np.isfinite(given), given, np.nan)
        return found

    def groups(values: pl.Series) -> NDArray[np.int64]:
        found = np.full(shape, -1, np.int64)
        codes = values.cast(pl.String).rank("dense").cast(pl.Int64).fill_null(0).to_numpy()
        found[symbol, session] = codes - 1
        return found

    shared: dict[str, NDArray] = {
        name: groups(bars[column]) if name.startswith("indclass") else matrix(bars[column])
        for name, column in EXTRA.items()
        if column in bars.columns and bars[column].null_count() < bars.height
    }
    raw = {name: matrix(bars[name]) for name in OHLCV}
    close = matrix(bars["adj_close"])
    returns = np.full(shape, np.nan)
    returns[:, 1:] = close[:, 1:] / close[:, :-1] - 1
    shared |= {"traded": raw["close"] * raw["volume"], "returns": returns}
    adjustment = raw["close"] / close
    adjusted = {name: matrix(bars[f"adj_{name}"]) for name in OHLCV[:4]}
    adjusted["volume"] = raw["volume"] * adjustment
    if "vwap" in shared:
        adjusted["vwap"] = shared["vwap"] / adjustment

    found: dict[int, NDArray[np.float32]] = {}
    for scale_free, fields in ((True, {**shared, **adjusted}), (False, {**shared, **raw})):
        wanted = {
            number: _FORMULAS[number - 1]
            for number in numbers
            if FEATURES[number - 1].scale_invariant is scale_free
            and not (set(EXTRA) & set(names(_FORMULAS[number - 1]))) - set(fields)
        }
        values = Values(fields, wanted.values())
        for number, formula in wanted.items():
            whole = np.broadcast_to(values.of(formula), shape)
            found[number] = whole[symbol, session].astype(np.float32)
    return [_series(number, found.get(number), bars.height) for number in numbers]


def _series(number: int, values: NDArray[np.float32] | None, rows: int) -> pl.Series:
    name = FEATURES[number - 1].name
    if values is None:
        return pl.Series(name, [None] * rows, pl.Float32)
    series = pl.Series(name, values)
    return series.set(~series.is_finite(), None)


def features_of(config: TradingConfig) -> tuple[Feature, ...]:
    """Definitions of the family; no setting changes them."""
    return FEATURES


def compute_from(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """Compute the family from its tables; see `compute`."""
    return compute(inputs["bars"])
