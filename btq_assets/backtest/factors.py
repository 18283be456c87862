"""Returns of factors: from the macro tables, from a file, and made of the traded universe.

Belongs here: what a factor's return in a period was. Does not belong here: regressions on them
(`attribution`), opening files (the asset).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.scenarios import market_returns
from btq_assets.contracts.raw import (
    MARKET_EXCESS_RETURN,
    RISK_FREE_RATE,
    SIZE_FACTOR,
    VALUE_FACTOR,
)

FAMA_FRENCH = (MARKET_EXCESS_RETURN, SIZE_FACTOR, VALUE_FACTOR)

#: Sessions of the formation windows of the universe's factors.
MOMENTUM_SESSIONS = 252
MOMENTUM_SKIP_SESSIONS = 21
VOLATILITY_SESSIONS = 252

_PERCENT = 0.01

#: Missing values of Kenneth French's files.
_MISSING = (-99.99, -999.0)

_ROW = re.compile(r"^\s*(\d{6}|\d{8})\s*,")


@dataclass(frozen=True)
class Factors:
    """Returns of several factors per period.

    Attributes
    ----------
    model
        Name of the set.
    frequency
        ``day`` or ``month``.
    period : Date[T]
        The session, or the first day of the month; ascending.
    names
        Factors, K of them.
    returns : float64[T, K]
        Fractions per period.
    risk_free : float64[T]
        Taken off the returns that are explained; zero where none is known.
    note
        What the factors are.
    """

    model: str
    frequency: str
    period: pl.Series
    names: tuple[str, ...]
    returns: np.ndarray
    risk_free: np.ndarray
    note: str


def fama_french(vintages: pl.DataFrame) -> Factors | None:
    """Three factors of Fama and French (1993), monthly, out of `core.macro_vintages`.

    The newest vintage of each month is taken: an attribution looks back. ``None`` where the four
    series are not there.
    """
    wanted = (*FAMA_FRENCH, RISK_FREE_RATE)
    newest = (
        vintages.filter(pl.col("series_id").is_in(wanted))
        .sort("known_at")
        .unique(("series_id", "period"), keep="last")
    )
    if newest["series_id"].n_unique() < len(wanted):
        return None
    wide = newest.pivot(on="series_id", index="period", values="value").drop_nulls().sort("period")
    return Factors(
        model="fama_french_3",
        frequency="month",
        period=wide["period"],
        names=FAMA_FRENCH,
        returns=wide.select(FAMA_FRENCH).to_numpy() * _PERCENT,
        risk_free=wide[RISK_FREE_RATE].to_numpy() * _PERCENT,
        note="US market, size and value of Fama and French, newest vintage; over their risk-free rate",
    )


def french_file(content: bytes, name: str) -> Factors:
    """Read the first table of a factor file as Kenneth French's data library has them.

    Lines of text, a line of names that starts with a comma, rows ``YYYYMM`` or ``YYYYMMDD`` with
    percent per period; what follows the first table (annual values) is left out. A column ``RF`` is
    the risk-free rate. Periods with a missing value (-99.99, -999) are left out.

    Parameters
    ----------
    content
        Bytes of the file.
    name
        Name of the file, for messages.

    Raises
    ------
    BacktestError
        No line of names, no row, a row of another width, a number or date that cannot be read, or a
        period that repeats or goes back.
    """
    lines = content.decode("latin-1").splitlines()
    head = next((k for k, line in enumerate(lines) if line.lstrip().startswith(",")), None)
    if head is None:
        raise BacktestError(f"{name}: no line of factor names (it starts with a comma)")
    names = [cell.strip() for cell in lines[head].split(",")[1:]]
    if not all(names) or len(set(names)) != len(names):
        raise BacktestError(f"{name}, line {head + 1}: factor names {names} are empty or repeat")
    stamps: list[str] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines[head + 1 :], start=head + 2):
        if not _ROW.match(line):
            if rows:
                break
            if line.strip():
                raise BacktestError(f"{name}, line {number}: {line.strip()[:40]!r} is no row")
            continue
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) != len(names) + 1:
            raise BacktestError(
                f"{name}, line {number}: {len(cells) - 1} values for {len(names)} factors"
            )
        try:
            rows.append([float(cell) for cell in cells[1:]])
        except ValueError as error:
            raise BacktestError(f"{name}, line {number}: {error}") from error
        stamps.append(cells[0])
    if not rows:
        raise BacktestError(f"{name}: no row YYYYMM or YYYYMMDD below the factor names")
    if len({len(stamp) for stamp in stamps}) != 1:
        raise BacktestError(f"{name}: months and days in one table")
    monthly = len(stamps[0]) == 6
    try:
        period = pl.Series("period", stamps if not monthly else [s + "01" for s in stamps])
        period = period.str.to_date("%Y%m%d")
    except pl.exceptions.InvalidOperationError as error:
        raise BacktestError(f"{name}: a date cannot be read: {error}") from error
    if not period.is_sorted() or period.n_unique() != len(period):
        raise BacktestError(f"{name}: periods repeat or go back")
    values = np.array(rows)
    known = ~np.isin(values, _MISSING).any(axis=1)
    columns = [k for k, factor in enumerate(names) if factor.upper() != "RF"]
    if not columns:
        raise BacktestError(f"{name}: no factor besides the risk-free rate")
    free = [k for k in range(len(names)) if k not in columns]
    return Factors(
        model="file",
        frequency="month" if monthly else "day",
        period=period.filter(pl.Series(known)),
        names=tuple(names[k] for k in columns),
        returns=values[known][:, columns] * _PERCENT,
        risk_free=values[known, free[0]] * _PERCENT if free else np.zeros(int(known.sum())),
        note=f"factors of {name}" + ("" if free else "; no risk-free rate in it"),
    )


def universe_factors(market: Market) -> Factors | None:
    """Daily factors made of the traded universe itself; ``None`` below three symbols.

    ``market`` is the equal-weight return. ``momentum`` is the third of the symbols with the highest
    return from 252 to 21 sessions before, less the third with the lowest (Jegadeesh and Titman, 1993);
    ``low_volatility`` the third with the lowest deviation of 252 daily returns less the third with
    the highest (after Frazzini and Pedersen, 2014, without leverage). Thirds are formed on the last
    session of a month and held, equally weighted, through the next one. There are no costs in them.
    Size is left out: the number of shares is not known.
    """
    prices = market.mark_prices
    n_bars, n_symbols = prices.shape
    if n_symbols < 3:
        return None
    change = np.full(prices.shape, np.nan)
    change[1:] = prices[1:] / prices[:-1] - 1
    month = market.ts.dt.strftime("%Y%m").to_numpy()
    starts = np.flatnonzero(month[1:] != month[:-1]) + 1
    weights = {name: np.full(prices.shape, np.nan) for name in ("momentum", "low_volatility")}
    for start, end in zip(starts, [*starts[1:], n_bars], strict=True):
        last = start - 1
        if last < max(MOMENTUM_SESSIONS, VOLATILITY_SESSIONS):
            continue
        past = prices[last - MOMENTUM_SKIP_SESSIONS] / prices[last - MOMENTUM_SESSIONS] - 1
        risk = change[last - VOLATILITY_SESSIONS + 1 : last + 1].std(axis=0, ddof=1)
        for name, score in (("momentum", past), ("low_volatility", -risk)):
            if (formed := _thirds(score)) is not None:
                weights[name][start:end] = formed
    earned = [
        np.where(
            np.isfinite(weight).any(axis=1),
            np.nansum(weight * np.nan_to_num(change), axis=1),
            np.nan,
        )
        for weight in weights.values()
    ]
    returns = np.column_stack([market_returns(prices), *earned])
    known = np.isfinite(returns).all(axis=1)
    return Factors(
        model="universe",
        frequency="day",
        period=market.ts.dt.date().filter(pl.Series(known)).rename("period"),
        names=("market", *weights),
        returns=returns[known],
        risk_free=np.zeros(int(known.sum())),
        note=f"made of {market.universe} itself: equal-weight market, momentum, low volatility; "
        "risk-free rate 0; no size, the number of shares is not known",
    )


def _thirds(score: np.ndarray) -> np.ndarray | None:
    """Weights of +1 over the highest third and -1 over the lowest; ``None`` below three scores."""
    known = np.flatnonzero(np.isfinite(score))
    size = known.size // 3
    if size == 0:
        return None
    order = known[np.argsort(score[known], kind="stable")]
    weights = np.zeros(score.size)
    weights[order[-size:]] = 1 / size
    weights[order[:size]] = -1 / size
    return weights
