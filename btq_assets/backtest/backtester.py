"""Backtests from a notebook: one strategy, any OHLCV frame, no Dagster.

Belongs here: the public class. Does not belong here: accounting (the engine), what a run gives
(`result`), scenarios of it (`scenario_runs`), layout of its report (`report`), and the tables of the
asset graph (`run`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.backtest import frames, recording, report, requested, scenario_runs, scenarios
from btq_assets.backtest.asking import Decide, asked_weights
from btq_assets.backtest.market import BacktestError, Market
from btq_assets.backtest.recording import Recorder, Trial
from btq_assets.backtest.result import BacktestResult, figures_of, result_of
from btq_assets.backtest.robustness import stresses
from btq_assets.backtest.scenario_runs import one_scope
from btq_assets.engine.costs import BPS, CostModel

if TYPE_CHECKING:
    from btq_assets.backtest.judged import Judged
    from btq_assets.engine.simulation import Simulation

#: What a strategy may be: a function of the history so far, or a frame of weights.
Strategy = Callable[[Any], Any] | Any


class AdvancedBacktester:
    """Run a strategy over OHLCV data with costs, whole or by scenario.

    A decision on a bar is filled at the next bar: its open where there are opens, else its close.

    Parameters
    ----------
    strategy
        Either a callable: it receives all rows up to and including the deciding bar, in the kind
        of frame `data` is, and returns weights: a mapping or pandas Series by symbol, a sequence
        in the order of `symbols`, one number if there is one symbol, or ``None`` for no decision.
        Or a frame of target weights, long (``ts``, ``symbol``, ``weight``) or wide.
    data
        pandas or polars OHLCV, see `frames.as_bars`.
    initial_cash
        Currency.
    commission
        Fraction of executed value, such as 0.001.
    half_spread_bps
        Half-spread in basis points of value.
    decide
        Callables are asked on the first bar of each ``week`` or ``month``, or every ``day``.
    max_gross
        Largest sum of absolute weights.
    market_states, volatility_states
        ``ts`` and ``state`` as in `regimes.market_states` and `regimes.volatility_states`, of one
        scope. Without them kinds of market follow from trailing returns of the data
        (`scenarios.DEFINITIONS`).
    record
        Whether the run counts as a trial of this process (`recording.SESSION`), against which
        reports deflate.
    recorder
        Told of the run as a trial, to write it into a ledger.

    Raises
    ------
    BacktestError
        Data or strategy cannot be used; the message says why.

    Examples
    --------
    >>> import polars as pl, datetime as dt
    >>> days = [dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in range(1, 6)]
    >>> data = pl.DataFrame({"ts": days, "close": [10.0, 10.0, 11.0, 12.0, 12.0]})
    >>> tester = AdvancedBacktester(lambda history: 0.5, data, 1_000, 0.0, decide="day")
    >>> round(tester.run().metrics["final_equity"], 2)
    1100.0
    """

    def __init__(
        self,
        strategy: Strategy,
        data: Any,
        initial_cash: float = 1_000_000.0,
        commission: float = 0.001,
        *,
        half_spread_bps: float = 0.0,
        decide: Decide = "week",
        max_gross: float = 1.0,
        market_states: pl.DataFrame | None = None,
        volatility_states: pl.DataFrame | None = None,
        record: bool = True,
        recorder: Recorder | None = None,
    ) -> None:
        if isinstance(strategy, type):
            raise BacktestError(
                f"strategy is the class {strategy.__name__}; a function from history to weights, or a "
                "frame of weights, is needed. A backtrader strategy runs on Cerebro"
            )
        if decide not in ("day", "week", "month"):
            raise BacktestError(f"decide = {decide!r}: day, week or month")
        self.data = data
        self.strategy = strategy
        self.initial_cash = initial_cash
        self.decide = decide
        self._record, self._recorder = record, recorder
        self.max_gross = max_gross
        self.costs = CostModel(commission_bps=commission / BPS, half_spread_bps=half_spread_bps)
        self._bars = frames.as_bars(data)
        self._market = Market.from_bars(self._bars, frames.UNIVERSE)
        self._result: BacktestResult | None = None
        self._states = {
            dimension: one_scope(table, dimension)
            for dimension, table in (("market", market_states), ("volatility", volatility_states))
            if table is not None
        }

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the data, ascending; sequences of weights follow this order."""
        return self._market.symbols

    def run(self) -> BacktestResult:
        """Run the strategy over the whole data once; later calls return the same result."""
        if self._result is None:
            done = self._told(self._through_engine(self._market, self._weights, self.costs))
            if not self._record:
                done = replace(done, notes=(*done.notes, recording.NOT_RECORDED))
            # counted before anybody sees it: what cannot be counted is not handed out either
            if done.equity.height > 2 and (self._record or self._recorder is not None):
                trial = self._trial_of(done)
                if self._record:
                    recording.SESSION.record(trial)
                if self._recorder is not None:
                    self._recorder(trial)
            self._result = done
        return self._result

    def trial(self) -> Trial:
        """The run as a row of the ledger: strategy, costs, and a hash of bars and weights."""
        return self._trial_of(self.run())

    def _trial_of(self, done: BacktestResult) -> Trial:
        import hashlib

        digest = self._market.digest() + hashlib.sha256(self._weights.tobytes()).hexdigest()
        return Trial(
            strategy=getattr(self.strategy, "__name__", type(self.strategy).__name__),
            returns=done.equity.select("ts", "net_return").drop_nulls(),
            config={
                "commission_bps": self.costs.commission_bps,
                "half_spread_bps": float(self.costs.half_spread_bps),
                "initial_cash": self.initial_cash,
                "max_gross": self.max_gross,
            },
            data_hash=hashlib.sha256(digest.encode()).hexdigest()[:20],
        )

    def one_over_n(self) -> BacktestResult:
        """Equal weights of what has a price, at the strategy's own decisions and costs."""
        market = self._market
        priced = np.isfinite(market.mark_prices)
        equal = priced / np.maximum(priced.sum(axis=1, keepdims=True), 1) * min(1.0, self.max_gross)
        decided = np.isfinite(self._weights).all(axis=1)
        weights = np.where(decided[:, None], equal, np.nan)
        return self._told(self._through_engine(market, weights, self.costs))

    def judged(self, trials: pl.DataFrame | None = None) -> Judged:
        """What may be claimed of the run after counting trials; see `judged.judge`."""
        from btq_assets.backtest.judged import judge

        return judge(self.run(), self.one_over_n(), self.trial(), trials)

    def run_scenarios(
        self, names: Sequence[str] = ("regimes",)
    ) -> dict[str, scenarios.ScenarioResult]:
        """Ask how the strategy does by kind of market, in crises, and on worse terms.

        The strategy is asked once, over everything. Kinds of market and crises are slices of that
        one path: a day belongs to a kind of market by what was known the day before, so no slice
        is chosen with hindsight. Stresses take the same decisions through the engine again.

        Parameters
        ----------
        names
            Kinds of market: ``bull``, ``bear``, ``sideways``, ``high_volatility``,
            ``normal_volatility``, ``low_volatility`` (with ``_market`` behind them, if you like),
            and both at once: ``bull_high_volatility``, ``bear_low_volatility``, ...; with states
            of the regimes room also ``volatile``. Crises by name or alias
            (``covid_2020``, ``2008_crash``, ...). Stresses: ``cost_20bps`` (any number),
            ``delay_3`` (any number of bars), ``half_liquidity``, ``draw_0`` (a fifth of the
            symbols left out; the number seeds the draw), ``bootstrap``. Groups: ``regimes``,
            ``combined`` (market and volatility at once), ``crises``, ``stresses``, ``all``.

        Returns
        -------
        dict of ScenarioResult
            By name. A kind of market with fewer than 60 days, or a crisis the data do not cover,
            holds a note instead of figures; ``bootstrap`` gives one entry per quantile.

        Raises
        ------
        BacktestError
            A name that stands for nothing.
        """
        days = self._scenario_days()
        found: dict[str, scenarios.ScenarioResult] = {}
        for request in requested.resolve(names, tuple(days), len(self.symbols)):
            if request.state is not None:
                meaning, chosen = days[request.state]
                returns = self.run().equity["net_return"].fill_null(math.nan).to_numpy()
                found[request.name] = scenarios.slice_result(
                    request.state, returns, chosen, meaning
                )
            elif request.crisis is not None:
                found[request.name] = scenario_runs.in_crisis(self.run().equity, request.crisis)
            elif request.stress is not None:
                found[request.name] = self._under(request.stress)
            else:
                drawn_from = self.run().equity["net_return"].drop_nulls().to_numpy()
                found |= scenario_runs.bootstrapped(drawn_from)
        return found

    def generate_report(
        self,
        results: Mapping[str, scenarios.ScenarioResult] | None = None,
        *,
        trials: pl.DataFrame | None = None,
    ) -> str:
        """Markdown report of the whole run and, where given, of its scenarios.

        Parameters
        ----------
        results
            What `run_scenarios` returned: kinds of market, crises and stresses each get a section.
        trials
            Rows of ``evidence.trials`` that led to this strategy (``found.trials`` of a
            walk-forward); they count in the verdict.
        """
        return self._markdown(results or {}, self.judged(trials))

    def _markdown(self, results: Mapping[str, scenarios.ScenarioResult], verdict: Judged) -> str:
        done = self.run()
        first, last = self._market.ts[0], self._market.ts[-1]
        lines = [
            "# Backtest",
            "",
            f"{len(self.symbols)} symbol(s), {len(self._market.ts)} bars, {first:%Y-%m-%d} to "
            f"{last:%Y-%m-%d}; commission {self.costs.commission_bps:g} bps, half-spread "
            f"{float(self.costs.half_spread_bps):g} bps; filled at the bar after the decision.",
            "",
            *report.verdict_lines(verdict),
            "",
            *report.figures_table(done.metrics, verdict),
            f"| rejected orders | {done.n_rejected} | | |",
            *report.sections(results),
        ]
        if done.notes:
            lines += ["", "## Notes", "", *(f"- {note}" for note in done.notes)]
        return "\n".join(lines) + "\n"

    def bear_days(self) -> np.ndarray:
        """Whether the market was known to be falling before each bar, ``bool[T]``."""
        return self._scenario_days()["bear"][1]

    def _scenario_days(self) -> dict[str, tuple[str, np.ndarray]]:
        return scenario_runs.scenario_days(self._market, self._states)

    def _under(self, stress: stresses.Stress) -> scenarios.ScenarioResult:
        changed = stresses.stressed(self._market, self._weights, self.costs, stress)
        figures = figures_of(self._through_engine(*changed))
        figures["sharpe_change"] = figures["sharpe"] - self.run().metrics["sharpe"]
        n_days = len(self._market.ts) - 1
        return scenarios.ScenarioResult(stress.case, stress.note, n_days, 1, figures, "", "stress")

    def _through_engine(self, market: Market, weights: np.ndarray, costs: CostModel) -> Simulation:
        from btq_assets.engine.simulation import simulate

        return simulate(
            market.fill_prices,
            market.mark_prices,
            weights,
            costs,
            initial_cash=self.initial_cash,
            max_gross=self.max_gross,
        )

    def _told(self, simulation: Simulation) -> BacktestResult:
        return result_of(simulation, self._market)

    @cached_property
    def _weights(self) -> np.ndarray:
        """Target weights; the strategy is asked once."""
        if callable(self.strategy) and not hasattr(self.strategy, "columns"):
            return asked_weights(self.strategy, self.data, self._market, self.decide)
        return self._market.weights(frames.as_targets(self.strategy), "strategy")
