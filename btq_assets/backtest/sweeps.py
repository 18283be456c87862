"""Thousands of parameter sets through the engine in one call, over the same data.

Belongs here: the loop over sets, its threads, its statistics, and every set's trial. Does not
belong here: accounting (`engine.kernel.run_bars`, the very function behind `simulate`) and what
chooses weights (`families`).

Memory does not grow with the number of sets: a path lives until its statistics are taken, and a
recorder is handed one part of the sets at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import local

import numpy as np
import polars as pl

from btq_assets.backtest.families import WeightFamily
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.sweep_trials import TrialSource, sweep_trials
from btq_assets.engine.costs import BPS, CostModel
from btq_assets.engine.inputs import checked_delistings, checked_panels, cost_panels
from btq_assets.engine.metrics import PERIODS_PER_YEAR

#: Receives rows of `evidence.trials` and `evidence.trial_returns`, one part of the sets at a time.
TrialRecorder = Callable[[pl.DataFrame, pl.DataFrame], None]

#: Sets between two calls of the recorder.
PART = 256

#: Sets a thread takes at once: each time it asks for more it waits for the main thread to wake.
AT_ONCE = 16

#: Largest relative gap between equity and the list of fills; the engine's own promise.
IDENTITY_TOLERANCE = 1e-9

COUNTS = ("n_fills", "n_unpriced", "n_refused_cash", "n_scaled_bars", "n_ruined")


@dataclass(frozen=True)
class Terms:
    """What every set of a sweep has in common beside the market.

    Parameters
    ----------
    costs
        `CostModel`.
    initial_cash
        Currency.
    max_gross
        Largest sum of absolute weights of a decision.
    """

    costs: CostModel
    initial_cash: float
    max_gross: float = 1.0


@dataclass(frozen=True)
class Sweep:
    """What came of the sets.

    Attributes
    ----------
    table
        One row per set: ``number``, its parameters, ``sharpe`` (annual), ``mean_annual``,
        ``annual_return``, ``annual_volatility``, ``max_drawdown``, ``turnover_annual``, ``total_cost``,
        ``final_equity``, per-period moments, counts, ``identity_error``.
    equity
        ``float64[S, T]`` where it was asked for.
    notes
        What could not be modelled.
    """

    table: pl.DataFrame
    equity: np.ndarray | None
    notes: tuple[str, ...]


def sweep(
    market: Market,
    family: WeightFamily,
    terms: Terms,
    *,
    recorder: TrialRecorder | None,
    source: TrialSource | None = None,
    threads: int | None = None,
    keep_equity: bool = False,
) -> Sweep:
    """Take every set of a family through the engine.

    Each set is computed by the function that `simulate` calls, on the same terms (sized at the
    decision, buys scaled to the cash), so that its path is the same to the last bit, whatever the
    number of threads.

    Parameters
    ----------
    market
        Bars all sets share.
    family
        The sets.
    terms
        Costs, cash and leverage.
    recorder
        Called with the trials of each part of the sets, in their order. ``None`` leaves them
        unrecorded, which only a test or a benchmark may do.
    source
        Who runs the sweep; needed with `recorder`.
    threads
        Default: one per core.
    keep_equity
        Whether to keep every path, 8 bytes a bar and set.

    Returns
    -------
    Sweep

    Raises
    ------
    BacktestError
        No set, a recorder without `source`, or a set whose books do not balance.
    EngineError
        Weights of a set the engine refuses; the message names the set.
    """
    n_sets = len(family.parameters)
    if n_sets == 0 or len(market.ts) < 3:
        raise BacktestError(f"{n_sets} set(s) over {len(market.ts)} bars: nothing to sweep")
    seen = [repr(sorted(dict(one).items())) for one in family.parameters]
    if len(set(seen)) != n_sets:
        twice = next(k for k, one in enumerate(seen) if one in seen[:k])
        raise BacktestError(f"set {twice} {dict(family.parameters[twice])} is in the sweep twice")
    if recorder is not None and source is None:
        raise BacktestError("a recorder needs a TrialSource: who ran the sweep, when, on what code")
    run = _Runner(market, family, terms)
    n_bars = len(market.ts)
    rows = np.empty((n_sets, run.n_columns))
    equity = np.empty((n_sets, n_bars)) if keep_equity else None
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for part in _parts(range(n_sets), PART):
            returns = np.empty((len(part), n_bars - 1)) if recorder is not None else None

            def some(
                numbers: range, part: range = part, returns: np.ndarray | None = returns
            ) -> None:
                for number in numbers:
                    run(
                        number,
                        rows[number],
                        None if returns is None else returns[number - part.start],
                        None if equity is None else equity[number],
                    )

            # consumed, so that an error of any set is raised here
            for _ in pool.map(some, _parts(part, AT_ONCE)):
                pass
            if recorder is not None and returns is not None and source is not None:
                recorder(
                    *sweep_trials(market, family, terms, part, rows, returns, source, run.data_hash)
                )
    notes = run.notes
    if recorder is None:
        notes = (*notes, f"{n_sets} set(s) not counted as trials: recorder=None")
    return Sweep(_table(family, rows), equity, notes)


def _parts(sets: range, length: int) -> Iterator[range]:
    for start in range(sets.start, sets.stop, length):
        yield range(start, min(start + length, sets.stop))


class _Runner:
    """Shared inputs, checked once, and buffers of each thread."""

    def __init__(self, market: Market, family: WeightFamily, terms: Terms) -> None:
        from btq_assets.backtest.sweep_kernel import STATISTICS

        if not np.isfinite(terms.initial_cash) or terms.initial_cash <= 0:
            raise BacktestError(f"initial_cash = {terms.initial_cash!r} must be positive")
        self.family, self.terms = family, terms
        self.fill_prices, self.marks = checked_panels(market.fill_prices, market.mark_prices)
        n_bars, n_assets = self.marks.shape
        self.half_spread = terms.costs.half_spread_by_bar(n_bars)
        self.fees, self.impact, self.notes = cost_panels(
            terms.costs, self.fill_prices, market.raw_prices, market.volumes, market.volatility
        )
        self.ended = checked_delistings(None, self.marks)
        self.n_columns = len(STATISTICS) + len(COUNTS) + 1
        self.data_hash = f"{market.digest()[:20]}-{family.digest()[:20]}"
        self._buffers = local()
        # ranks once, before threads ask for them; and compiles
        family.write(0, np.empty((n_bars, n_assets)))

    def __call__(
        self, number: int, row: np.ndarray, returns: np.ndarray | None, equity: np.ndarray | None
    ) -> None:
        """Statistics of one set into `row`; its path into `returns` and `equity` where given."""
        from btq_assets.backtest.sweep_kernel import (
            STATISTICS,
            deciding_rows,
            largest_gap,
            summarise,
        )
        from btq_assets.engine.inputs import checked_targets
        from btq_assets.engine.kernel import run_bars
        from btq_assets.engine.simulation import DELIST_AFTER_MISSING

        weights, decides, scratch = self._own()
        self.family.write(number, weights)
        limit = self.terms.max_gross
        if deciding_rows(weights, limit * (1 + 1e-9), decides) >= 0:
            self._refuse(number, weights, checked_targets)
        fills = self._fills(2 * int(decides.sum()) * weights.shape[1])
        path, _, turnover, cost, _, marks, _, counts = run_bars(
            self.fill_prices,
            self.marks,
            weights,
            decides,
            self.half_spread,
            self.terms.costs.commission_bps * BPS,
            self.fees,
            self.impact,
            float(self.terms.initial_cash),
            False,
            False,
            0.0,
            self.ended,
            DELIST_AFTER_MISSING,
            fills,
        )
        summarise(
            path,
            turnover,
            cost,
            float(PERIODS_PER_YEAR),
            row[: len(STATISTICS)],
            scratch if returns is None else returns,
        )
        row[len(STATISTICS) : -1] = counts
        row[-1] = largest_gap(fills, counts[0], marks, path, float(self.terms.initial_cash))
        if not row[-1] <= IDENTITY_TOLERANCE:
            raise BacktestError(
                f"set {number} {dict(self.family.parameters[number])}: equity and the list of fills "
                f"differ by {row[-1]:.2e} of equity"
            )
        if equity is not None:
            equity[:] = path

    def _own(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Buffers of this thread: weights, which rows decide, returns."""
        if not hasattr(self._buffers, "weights"):
            self._buffers.weights = np.empty(self.marks.shape)
            self._buffers.decides = np.empty(len(self.marks), dtype=np.bool_)
            self._buffers.scratch = np.empty(len(self.marks) - 1)
        return self._buffers.weights, self._buffers.decides, self._buffers.scratch

    def _fills(self, n: int) -> np.ndarray:
        """Room for `n` fills, the same room as long as it is large enough."""
        from btq_assets.engine.kernel import FILL_DTYPE

        if getattr(self._buffers, "fills", np.empty(0)).size < max(n, 1):
            self._buffers.fills = np.empty(max(n, 1), dtype=FILL_DTYPE)
        return self._buffers.fills

    def _refuse(self, number: int, weights: np.ndarray, checked_targets: Callable) -> None:
        from btq_assets.engine.errors import EngineError

        try:
            checked_targets(weights, self.terms.max_gross)
        except EngineError as error:
            raise EngineError(
                f"set {number} {dict(self.family.parameters[number])}: {error}"
            ) from error


def _table(family: WeightFamily, rows: np.ndarray) -> pl.DataFrame:
    from btq_assets.backtest.sweep_kernel import STATISTICS

    found = dict(zip((*STATISTICS, *COUNTS, "identity_error"), rows.T, strict=True))
    parameters = pl.DataFrame([dict(one) for one in family.parameters], infer_schema_length=None)
    year = np.sqrt(PERIODS_PER_YEAR)
    whole = {name: found[name].astype(np.int64) for name in ("n_returns", *COUNTS)}
    measured = pl.DataFrame(
        {
            "sharpe": found["sharpe_per_period"] * year,
            "mean_annual": found["mean_return"] * PERIODS_PER_YEAR,
            "annual_return": found["annual_return"],
            "annual_volatility": found["volatility"] * year,
            "max_drawdown": found["max_drawdown"],
            "turnover_annual": found["turnover_mean"] * PERIODS_PER_YEAR,
            "total_cost": found["total_cost"],
            "final_equity": found["final_equity"],
            "sharpe_per_period": found["sharpe_per_period"],
            "skewness": found["skewness"],
            "kurtosis": found["kurtosis"],
            **whole,
            "identity_error": found["identity_error"],
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    return pl.concat([parameters, measured], how="horizontal").with_row_index("number")


def momentum_scores(prices: np.ndarray, lookbacks: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Trailing returns as scores, ``momentum_<bars>``; NaN without both prices.

    Parameters
    ----------
    prices
        ``float64[T, N]``.
    lookbacks
        Bars back.
    """
    made = {}
    for bars in lookbacks:
        panel = np.full(prices.shape, np.nan)
        panel[bars:] = prices[bars:] / prices[:-bars] - 1
        made[f"momentum_{bars}"] = panel
    return made


__all__ = ["Sweep", "Terms", "TrialRecorder", "TrialSource", "momentum_scores", "sweep"]
