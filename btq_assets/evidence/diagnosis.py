"""What is suspicious about a run, found without knowing what it traded on.

Belongs here: symptoms of a hollow or lucky result, with the number that shows each. Does not belong
here: the verdict, and anything that needs the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.contracts import evidence
from btq_assets.engine.metrics import calculate_sharpe
from btq_assets.evidence.parameters import FittedNumbers

#: Trades (position changes filled) below which any ratio is chance.
FEWEST_FILLS = 30
#: Share of bars without any return beyond which an equity curve is flat.
FLAT_SHARE = 0.5
#: Share of fills at the very price of the fill before, in the same symbol.
STALE_SHARE = 0.05
#: Best days taken away, as a share of all; a result that needs them hangs on luck.
LUCKY_DAYS_SHARE = 0.005
#: Share of all gains that one symbol may have.
SYMBOL_SHARE = 0.5
#: Share of variance explained by the benchmark, with no intercept to speak of.
EXPLAINED_SHARE = 0.9
#: Observations per fitted parameter, as in linear regression's rule of thumb (Harrell 2015, 4.4).
OBSERVATIONS_PER_PARAMETER = 15


@dataclass(frozen=True)
class Finding:
    """One symptom.

    Attributes
    ----------
    symptom
        Its name: ``few_fills``, ``flat_equity``, ``stale_fills``, ``lucky_days``, ``lucky_symbol``,
        ``exposure_explains_return``, ``too_many_parameters``, ``too_good``.
    value
        The number that shows it, in the unit `detail` names.
    threshold
        What it was held against.
    detail
        One sentence.
    """

    symptom: str
    value: float
    threshold: float
    detail: str


@dataclass(frozen=True)
class RunRecord:
    """What a diagnosis looks at.

    Attributes
    ----------
    equity
        Rows of ``backtest.equity`` of one run, ordered by ``ts``.
    trades
        Its rows of ``backtest.trades``.
    closes
        ``symbol``, ``ts`` and ``close`` on the scale of the fills' prices; used to value holdings.
    benchmark
        ``ts`` and ``net_return`` of what it is compared with, or ``None``; any days, any zone.
    n_parameters, n_observations
        Numbers fitted or chosen to make its decisions, or ``None`` where unknown, and what they
        were fitted on; ``None``: the run's own returns.
    periods_per_year
        Bars per year.
    """

    equity: pl.DataFrame
    trades: pl.DataFrame
    closes: pl.DataFrame
    benchmark: pl.DataFrame | None = None
    n_parameters: float | None = None
    n_observations: int | None = None
    periods_per_year: float = 252.0


def diagnose(run: RunRecord) -> list[Finding]:
    """Name what is suspicious about a run.

    A finding is a question to answer, not a refusal: a market fund is explained by its benchmark
    and is none the worse. Nothing is judged from fewer than twenty returns, except that there are
    few fills.

    Parameters
    ----------
    run
        Tables of one run.

    Returns
    -------
    list of Finding
        In a fixed order; empty when nothing is suspicious.
    """
    rules: tuple[Callable[[RunRecord], Iterator[Finding]], ...] = (
        _few_fills,
        _flat_equity,
        _stale_fills,
        _lucky_days,
        _lucky_symbol,
        _explained,
        _parameters,
        _too_good,
    )
    return [finding for rule in rules for finding in rule(run)]


def findings_table(
    runs: pl.DataFrame,
    equity: pl.DataFrame,
    trades: pl.DataFrame,
    positions: pl.DataFrame,
    fitted: Mapping[str, FittedNumbers] | None = None,
) -> pl.DataFrame:
    """Diagnose every run but the benchmarks, each beside 1/N of its universe.

    Parameters
    ----------
    runs, equity, trades, positions
        Tables of the backtest room.
    fitted
        Numbers fitted for each strategy, by name; of others ``too_many_parameters`` is not asked.

    Returns
    -------
    polars.DataFrame
        Rows of ``evidence.findings``, sorted by run and symptom.
    """
    closes = positions.filter(pl.col("shares") != 0).select(
        "run_id", "symbol", "ts", close=pl.col("value") / pl.col("shares")
    )
    rows = []
    for run in runs.filter(pl.col("role") != "benchmark").sort("run_id").iter_rows(named=True):
        own = pl.col("run_id") == run["run_id"]
        numbers = (fitted or {}).get(run["strategy"])
        record = RunRecord(
            equity=equity.filter(own).sort("ts"),
            trades=trades.filter(own),
            closes=closes.filter(own),
            benchmark=_one_over_n(run, runs, equity),
            n_parameters=numbers.n_parameters if numbers else None,
            n_observations=numbers.n_observations if numbers else None,
        )
        rows += [
            {"run_id": run["run_id"], "strategy": run["strategy"], **vars(finding)}
            for finding in diagnose(record)
        ]
    table = pl.DataFrame(rows, schema=evidence.FINDINGS.schema)
    return table.sort(evidence.FINDINGS.key)


def _one_over_n(
    run: dict[str, Any], runs: pl.DataFrame, equity: pl.DataFrame
) -> pl.DataFrame | None:
    reference = runs.filter(
        (pl.col("strategy") == "one_over_n") & (pl.col("universe") == run["universe"])
    )
    if reference.is_empty() or run["strategy"] == "one_over_n":
        return None
    return equity.filter(pl.col("run_id") == reference["run_id"][0]).select("ts", "net_return")


def gains_by_symbol(trades: pl.DataFrame, closes: pl.DataFrame) -> pl.DataFrame:
    """Gain of each symbol over a run, costs taken off, in currency.

    Cash received for sales less cash paid for purchases and costs, plus what is still held at its
    last close.

    Returns
    -------
    polars.DataFrame
        ``symbol``, ``gain``, sorted by symbol.

    Raises
    ------
    ValueError
        A symbol still held has no close.
    """
    cost = pl.col("commission") + pl.col("spread_cost") + pl.col("impact_cost").fill_null(0.0)
    last = closes.sort("ts").group_by("symbol").agg(pl.col("close").last())
    per_symbol = (
        trades.group_by("symbol")
        .agg(
            cash=-(pl.col("shares") * pl.col("price")).sum() - cost.sum(),
            held=pl.col("shares").sum(),
            moved=pl.col("shares").abs().sum(),
        )
        # What is left of sums that cancel is rounding.
        .with_columns(held=pl.when(pl.col("held").abs() > 1e-9 * pl.col("moved")).then("held").otherwise(0.0))
        .join(last, on="symbol", how="left")
    )  # fmt: skip
    lacking = per_symbol.filter((pl.col("held") != 0) & pl.col("close").is_null())
    if lacking.height:
        raise ValueError(f"no close for {lacking['symbol'].to_list()[:5]}, still held at the end")
    gain = pl.col("cash") + pl.col("held") * pl.col("close").fill_null(0.0)
    return per_symbol.select("symbol", gain=gain).sort("symbol")


def _returns(run: RunRecord) -> NDArray[np.float64]:
    return run.equity["net_return"].drop_nulls().to_numpy()


def _few_fills(run: RunRecord) -> Iterator[Finding]:
    n = run.trades.height
    if n < FEWEST_FILLS:
        yield Finding(
            "few_fills", n, FEWEST_FILLS, f"{n} fills in all: any ratio of them is chance"
        )


def _flat_equity(run: RunRecord) -> Iterator[Finding]:
    returns = _returns(run)
    if len(returns) < 20:
        return
    share = float(np.mean(returns == 0))
    if share > FLAT_SHARE:
        yield Finding(
            "flat_equity", share, FLAT_SHARE, f"equity does not move on {share:.0%} of the bars"
        )


def _stale_fills(run: RunRecord) -> Iterator[Finding]:
    # Two fills days apart at one price to the last digit: a price that was carried on.
    ordered = run.trades.sort("symbol", "filled_at")
    again = ordered.select(
        (pl.col("price") == pl.col("price").shift(1).over("symbol")).fill_null(False)
    ).to_series()
    if again.len() < FEWEST_FILLS:
        return
    share = float(again.mean() or 0.0)  # type: ignore[arg-type]
    if share > STALE_SHARE:
        yield Finding(
            "stale_fills",
            share,
            STALE_SHARE,
            f"{share:.0%} of the fills have the very price of the symbol's fill before",
        )


def _lucky_days(run: RunRecord) -> Iterator[Finding]:
    returns = _returns(run)
    if len(returns) < 20:
        return
    growth = np.log1p(returns)
    total = float(growth.sum())
    n_best = max(1, math.ceil(LUCKY_DAYS_SHARE * len(growth)))
    without = total - float(np.sort(growth)[-n_best:].sum())
    if total > 0 and without <= 0:
        yield Finding(
            "lucky_days",
            without,
            0.0,
            f"without its best {n_best} of {len(growth)} bars the run loses {-math.expm1(without):.1%}",
        )


def _lucky_symbol(run: RunRecord) -> Iterator[Finding]:
    if run.trades.is_empty():
        return
    gains = gains_by_symbol(run.trades, run.closes)
    total = float(gains["gain"].sum())
    if gains.height < 3 or total <= 0:
        return
    row = gains.sort("gain", "symbol").row(-1, named=True)
    share = row["gain"] / total
    if share > SYMBOL_SHARE:
        yield Finding(
            "lucky_symbol",
            share,
            SYMBOL_SHARE,
            f"{row['symbol']} made {share:.0%} of the gain of {gains.height} symbols",
        )


def _explained(run: RunRecord) -> Iterator[Finding]:
    if run.benchmark is None:
        return
    # by instant, whatever the zones are called; days that only one has are left out
    instant = pl.col("ts").dt.convert_time_zone("UTC")
    paired = (
        run.equity.select(instant, own="net_return")
        .join(run.benchmark.select(instant, other="net_return"), on="ts")
        .drop_nulls()
    )
    own, other = paired["own"].to_numpy(), paired["other"].to_numpy()
    if len(own) < 20 or own.std() <= 1e-14 or other.std() <= 1e-14:
        return
    share = float(np.corrcoef(own, other)[0, 1] ** 2)
    slope, intercept = np.polyfit(other, own, 1)
    residual = own - slope * other - intercept
    n = len(own)
    error = math.sqrt(
        residual @ residual / (n - 2) * (1 / n + other.mean() ** 2 / (n * other.var()))
    )
    t = intercept / error if error > 0 else 0.0
    if share > EXPLAINED_SHARE and abs(t) < 2:
        yield Finding(
            "exposure_explains_return",
            share,
            EXPLAINED_SHARE,
            f"{slope:.2f} times the benchmark explains {share:.0%} of the variance; what is left has "
            f"a t-value of {t:+.1f}",
        )


def _parameters(run: RunRecord) -> Iterator[Finding]:
    if not run.n_parameters:
        return
    own = run.n_observations is None
    n = len(_returns(run)) if own else run.n_observations or 0
    ratio = n / run.n_parameters
    if ratio < OBSERVATIONS_PER_PARAMETER:
        yield Finding(
            "too_many_parameters",
            ratio,
            OBSERVATIONS_PER_PARAMETER,
            f"{run.n_parameters:,.0f} fitted numbers for {n:,} {'returns' if own else 'observations'}"
            + (", fewer than one for each" if n < run.n_parameters else ""),
        )


def _too_good(run: RunRecord) -> Iterator[Finding]:
    returns = _returns(run)
    if len(returns) < 20 or returns.std() <= 1e-14:
        return
    sharpe = calculate_sharpe(returns, run.periods_per_year)
    if sharpe > 2:
        yield Finding(
            "too_good",
            sharpe,
            2.0,
            f"an annual Sharpe ratio of {sharpe:.1f} after costs is a fault until proven otherwise",
        )
