"""Splits and dividends an adjusted price missed, or took twice.

Belongs here: detectors that compare prices with corporate actions, with the same symbol elsewhere
and with volume. Does not belong here: the adjustment itself (dbt), other faults (`faults`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from btq_assets.sources.repairs.faults import Fault
from btq_assets.sources.repairs.series import SERIES, moves

#: Shares for one that companies choose. Smaller ones (3 for 2) need an announcement: prices of
#: real companies fall by a third on bad news.
RATIOS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50)

#: Farthest a jump may lie from the logarithm of its ratio.
_TOLERANCE = 0.12

#: Bars before and after whose volume is compared.
_VOLUME_BARS = 20

#: A dividend that an adjustment factor shows; smaller ones drown in the grain of prices.
_LEAST_YIELD = 2e-3


def split_faults(
    bars: pl.DataFrame, actions: pl.DataFrame, market: Mapping[str, pl.DataFrame] | None = None
) -> Iterator[Fault]:
    """Missed and doubled splits of daily bars.

    With an announced split of that day the verdict is all but certain. Without one, a jump of a
    whole ratio is proposed as a missed split when nothing says that the price really moved: the
    same symbol elsewhere, a crowd of trades on the day, a market that moved with it.

    Parameters
    ----------
    bars
        What `series.observed` returns.
    actions
        What `latest_actions` returns.
    market
        Moves of the others by column (`series.market_moves`), where `bars` are not all there are:
        those must hold every source's bars of a symbol that they have any of.
    """
    others = market["price"] if market else None
    daily = _with_volume(moves(bars.filter(pl.col("freq") == "1d"), market=others))
    announced = actions.filter(pl.col("kind") == "split").select(
        "source",
        "dataset",
        "symbol",
        pl.col("ex_date").alias("session"),
        pl.col("value").alias("announced"),
        "basis",
    )
    daily = daily.join(
        announced, on=["source", "dataset", "symbol", "session"], how="left", maintain_order="left"
    )
    jumps = daily.filter(
        (pl.col("move").abs() > math.log(RATIOS[0]) - _TOLERANCE)
        | (pl.col("announced").is_not_null() & (pl.col("move").abs() > 0.1))
    )
    elsewhere = (
        daily.filter(pl.col("move").is_not_null())
        .join(jumps.select("symbol", "session").unique(), on=["symbol", "session"], how="semi")
        .select("source", "dataset", "symbol", "session", "move")
    )
    for row in jumps.iter_rows(named=True):
        fault = _announced(row) if row["announced"] else _unannounced(row, elsewhere)
        if fault is not None:
            yield from _over_history(bars, row, *fault)


def _announced(row: dict[str, Any]) -> tuple[str, float, float, str] | None:
    """Kind, ratio, confidence and evidence of a jump on the day of an announced split."""
    ratio, move = row["announced"], row["move"]
    if row["adj_close"] is None and row["basis"] == "as_traded":
        return None  # a price as traded moves by the split, and core adjusts for it
    for kind, sign in (("missed_split", -1.0), ("double_split", 1.0)):
        misfit = abs(move - sign * math.log(ratio))
        # Nearer to the whole jump than to none.
        if misfit < min(_TOLERANCE, abs(math.log(ratio)) / 2) or misfit < 3 * row["sigma"] < abs(
            math.log(ratio)
        ):
            said = f"a split of {ratio:g} for 1 is announced for {row['session']}, and the price "
            return (
                kind,
                ratio if sign < 0 else 1 / ratio,
                0.99,
                f"{said}{_percent(move)} into it, {misfit / row['sigma']:.1f} typical moves from "
                f"{'the whole split' if sign < 0 else 'the split taken twice'}.",
            )
    return None


def _unannounced(
    row: dict[str, Any], elsewhere: pl.DataFrame
) -> tuple[str, float, float, str] | None:
    """The same of a jump nobody announced; only ratios companies choose are considered."""
    move, sigma = row["move"], row["sigma"]
    ratio = min(RATIOS, key=lambda k: abs(abs(move) - math.log(k)))
    misfit = abs(abs(move) - math.log(ratio))
    follow = row["next_move"] or 0.0
    if misfit > _TOLERANCE or (follow * move < 0 and abs(follow) > 0.5 * abs(move)):
        return None
    typical = misfit / sigma
    confidence = 0.55 + 0.3 * math.exp(-(typical**2) / 2)
    named = f"{ratio} for 1" if move < 0 else f"1 for {ratio}"
    said = [
        f"the price {_percent(move)} into {row['session']}, {misfit:.2%} "
        f"({typical:.1f} typical moves) from a split of {named}; none is announced"
    ]
    others = elsewhere.filter(
        (pl.col("symbol") == row["symbol"])
        & (pl.col("session") == row["session"])
        & ((pl.col("dataset") != row["dataset"]) | (pl.col("source") != row["source"]))
    )
    if others.height:
        alike = others.filter((pl.col("move") - move).abs() < 0.25 * abs(move))
        if alike.height:
            confidence *= 0.25
            said.append(f"{alike['dataset'][0]} shows the same move, so it happened")
        else:
            confidence = max(confidence, 0.95)
            said.append(f"{others['dataset'][0]} moved {others['move'][0]:.2%} that day")
    if row["volume_on_day"] and row["volume_before"]:
        crowd = row["volume_on_day"] / row["volume_before"]
        if crowd > 3 * ratio:
            confidence *= 0.4
            said.append(f"volume was {crowd:.0f} times the usual: people traded on news")
        elif (
            row["volume_after"]
            and abs(
                math.log(row["volume_after"] / row["volume_before"])
                + math.copysign(math.log(ratio), move)
            )
            < 0.4
        ):
            confidence = min(0.97, confidence + 0.1)
            said.append("volume settles at a level that fits the ratio")
    if row["market_move"] is not None and abs(row["market_move"]) > 0.05:
        confidence *= 0.5
        said.append(f"the median of its dataset moved {row['market_move']:.2%}")
    if row["stale_before"] >= 10:
        said.append(f"it follows {row['stale_before']} equal closes")
    return (
        "missed_split",
        float(ratio) if move < 0 else 1 / ratio,
        round(confidence, 2),
        "; ".join(said) + ".",
    )


def _over_history(
    bars: pl.DataFrame, row: dict[str, Any], kind: str, ratio: float, confidence: float, text: str
) -> Iterator[Fault]:
    """One fault a column, over all bars before the split.

    Where there is an adjusted close, returns are computed from it alone and raw prices stay as
    traded; else every price and the volume are scaled.
    """
    history = _before(bars, row)
    if history.is_empty():
        return
    adjusted = history["adj_close"].count() > 0
    factors = (
        {"adj_close": 1 / ratio}
        if adjusted
        else {**dict.fromkeys(("open", "high", "low", "close"), 1 / ratio), "volume": ratio}
    )
    for column, factor in factors.items():
        if history[column].count():
            yield _scaled(history, row, kind, column, factor, confidence, text)


def dividend_faults(bars: pl.DataFrame, actions: pl.DataFrame) -> Iterator[Fault]:
    """Announced dividends that the adjusted close of a daily series does not contain.

    The adjustment factor (adjusted close over close) should step by one minus the dividend over
    the close before it; a factor that stays as it was has missed it.
    """
    daily = moves(bars.filter((pl.col("freq") == "1d") & pl.col("close").is_not_null()))
    split_days = actions.filter(pl.col("kind") == "split")
    paid = (
        actions.filter(pl.col("kind") == "dividend")
        .join(split_days, on=["source", "dataset", "symbol", "ex_date"], how="anti")
        .select(
            "source",
            "dataset",
            "symbol",
            pl.col("ex_date").alias("session"),
            pl.col("value").alias("dividend"),
        )
    )
    if paid.is_empty() or daily.is_empty():
        return
    factor = pl.col("adj_close") / pl.col("close")
    found = (
        daily.with_columns(
            step=(factor.shift(1) / factor).over(SERIES),
            close_before=pl.col("close").shift(1).over(SERIES),
        )
        .join(paid, on=["source", "dataset", "symbol", "session"], maintain_order="left")
        .with_columns(share=pl.col("dividend") / pl.col("close_before"))
        .filter(
            pl.col("share").is_between(_LEAST_YIELD, 0.5)
            & ((1 - pl.col("step")) / pl.col("share") < 0.1)
        )
    )
    for row in found.iter_rows(named=True):
        history = _before(bars, row)
        text = (
            f"a dividend of {row['dividend']:g} ({row['share']:.2%} of the close before) is "
            f"announced for {row['session']}, and the adjustment factor does not step there."
        )
        yield _scaled(history, row, "missed_dividend", "adj_close", 1 - row["share"], 0.95, text)


def latest_actions(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Corporate actions of all sources, each in its latest vintage, by the source they belong to."""
    schema = {
        "source": pl.String,
        "dataset": pl.String,
        "symbol": pl.String,
        "ex_date": pl.Date,
        "kind": pl.String,
        "value": pl.Float64,
        "basis": pl.String,
    }
    parts = [
        frame.sort("known_at")
        .unique(["dataset", "symbol", "ex_date", "kind"], keep="last", maintain_order=True)
        .with_columns(source=pl.lit(table.removeprefix("raw.corporate_actions_")))
        .select(list(schema))
        for table, frame in tables.items()
        if frame.height
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


def _with_volume(daily: pl.DataFrame) -> pl.DataFrame:
    before = pl.col("volume").shift(1).rolling_median(_VOLUME_BARS, min_samples=5)
    after = pl.col("volume").reverse().rolling_median(_VOLUME_BARS, min_samples=5).reverse()
    run = pl.col("price").rle_id()
    return (
        daily.with_columns(_run=run.over(SERIES))
        .with_columns(_length=(pl.int_range(pl.len()) + 1).over(*SERIES, "_run"))
        .with_columns(
            volume_on_day="volume",
            volume_before=before.over(SERIES),
            # From the bar after next on: the days right after a crash are busy too.
            volume_after=after.shift(-2).over(SERIES),
            stale_before=pl.col("_length").shift(1).over(SERIES).fill_null(0),
        )
    )


def _before(bars: pl.DataFrame, row: dict[str, Any]) -> pl.DataFrame:
    return bars.filter(*(pl.col(name) == row[name] for name in SERIES), pl.col("ts") < row["ts"])


def _scaled(
    history: pl.DataFrame,
    row: dict[str, Any],
    kind: str,
    column: str,
    factor: float,
    confidence: float,
    text: str,
) -> Fault:
    have = history.filter(pl.col(column).is_not_null())["ts"]
    return Fault(
        kind,
        column,
        (row["source"], row["dataset"], row["symbol"], row["freq"]),
        have[-1],
        have[0],
        have[-1],
        factor,
        confidence,
        text[0].upper() + text[1:],
        row["known_at"],
    )


def _percent(move: float) -> str:
    return f"{'rises' if move > 0 else 'falls'} by {abs(math.expm1(move)):.1%}"
