"""`RiskAnalyzer`: the risk room for one return series, without tables.

Belongs here: reading a series in whatever form a notebook has it, and calling the room. Does not
belong here: any formula.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from btq_assets.risk import measures
from btq_assets.risk.measures import RiskError, confidence_level
from btq_assets.risk.scenarios import (
    SCENARIOS,
    Replay,
    Scenario,
    find_scenario,
    not_covered,
    outcome,
    window_positions,
)
from btq_assets.risk.simulation import Method as PathMethod
from btq_assets.risk.simulation import Simulated, simulate_paths

VaRMethod = Literal["historical", "parametric", "cornish_fisher"]


class RiskAnalyzer:
    """Risk of one series of simple returns.

    Parameters
    ----------
    returns
        Simple returns per session: a pandas Series (its DatetimeIndex dates them), a polars Series
        or numpy array (undated), or a pandas or polars frame with one number column and a date or
        timestamp column (or index). Missing values are left out.

    Raises
    ------
    RiskError
        Fewer than two returns, an infinite one, or a frame in which the returns are ambiguous.

    Examples
    --------
    >>> analyzer = RiskAnalyzer(np.linspace(-0.05, 0.05, 101))
    >>> round(analyzer.calculate_var(0.95), 3) == round(analyzer.calculate_var(0.05), 3)
    True
    """

    def __init__(self, returns: Any) -> None:
        values, days = _read(returns)
        kept = ~np.isnan(values)
        self.returns: NDArray[np.float64] = values[kept]
        self.days: NDArray[np.datetime64] | None = None if days is None else days[kept]
        if len(self.returns) < 2:
            raise RiskError(f"{len(self.returns)} return(s): risk needs at least two")
        if not np.isfinite(self.returns).all():
            raise RiskError("a return is infinite")
        if self.days is not None and (np.diff(self.days) < np.timedelta64(0, "D")).any():
            order = np.argsort(self.days, kind="stable")
            self.returns, self.days = self.returns[order], self.days[order]

    def calculate_var(self, confidence: float = 0.95, method: VaRMethod = "historical") -> float:
        """Value at risk of the next session, a positive loss.

        Parameters
        ----------
        confidence
            Level above 0.5 or tail probability below it: 0.95 and 0.05 are the same.
        method
            ``historical``, ``parametric`` (normal) or ``cornish_fisher``.

        Raises
        ------
        RiskError
            `confidence` is 0.5 or outside (0, 1); too few returns for the level; moments outside
            the domain in which Cornish–Fisher is a quantile.
        """
        return self._pair(confidence, method)[0]

    def calculate_cvar(self, confidence: float = 0.95, method: VaRMethod = "historical") -> float:
        """Mean loss in the worst share of sessions; parameters as in `calculate_var`."""
        return self._pair(confidence, method)[1]

    def stress_test(self, scenarios: Sequence[str | Scenario] | None = None) -> dict[str, Replay]:
        """What the series did in crisis windows, by the name asked for.

        Parameters
        ----------
        scenarios
            Names (``"2008_crash"``, ``"covid_2020"``, ``"dot_com_2000"``, aliases too) or own
            `Scenario` windows; default the whole catalogue.

        Returns
        -------
        dict
            A `Replay` each; ``covered`` is False, with a note, where the dates do not reach.

        Raises
        ------
        RiskError
            The returns carry no dates, or a name is unknown.
        """
        if self.days is None:
            raise RiskError(
                "stress windows need dates: pass a pandas Series with a DatetimeIndex, or a frame "
                "with a date column"
            )
        wanted = SCENARIOS if scenarios is None else scenarios
        result = {}
        for entry in wanted:
            scenario = entry if isinstance(entry, Scenario) else find_scenario(entry)
            result[entry.name if isinstance(entry, Scenario) else entry] = self._window(scenario)
        return result

    def monte_carlo_simulation(
        self,
        n_simulations: int = 10_000,
        time_horizon: int = 252,
        *,
        method: PathMethod = "block_bootstrap",
        mean_block: float = 21.0,
        seed: int = 4_321,
    ) -> Simulated:
        """Simulate wealth; see `simulation.simulate_paths`.

        Parameters
        ----------
        n_simulations, time_horizon
            Paths and sessions.
        method, mean_block, seed
            How paths are drawn.
        """
        return simulate_paths(
            self.returns,
            n_paths=n_simulations,
            horizon_sessions=time_horizon,
            seed=seed,
            method=method,
            mean_block=mean_block,
            with_fan=True,
        )

    def _pair(self, confidence: float, method: str) -> tuple[float, float]:
        level = confidence_level(confidence)
        if method == "historical":
            var, cvar = measures.historical(self.returns, level)
            return float(var), float(cvar)
        sample = measures.moments(self.returns)
        if method == "parametric":
            var, cvar = measures.parametric(sample, level)
        elif method == "cornish_fisher":
            var, cvar, valid = measures.cornish_fisher(sample, level)
            if not valid:
                raise RiskError(
                    f"skewness {float(sample.skewness):.2f} and excess kurtosis "
                    f"{float(sample.excess_kurtosis):.2f} lie outside the domain in which the "
                    "Cornish–Fisher expansion is a quantile; use historical"
                )
        else:
            raise RiskError(f"method {method!r}: use historical, parametric or cornish_fisher")
        return float(var), float(cvar)

    def _window(self, scenario: Scenario) -> Replay:
        assert self.days is not None
        found = window_positions(self.days, scenario)
        if found is None:
            return Replay(scenario, note=not_covered(self.days, scenario))
        first, last = found
        wealth = np.concatenate([[1.0], np.cumprod(1 + self.returns[first + 1 : last + 1])])
        return outcome(scenario, first, last, wealth)


def _read(returns: Any) -> tuple[NDArray[np.float64], NDArray[np.datetime64] | None]:
    if isinstance(returns, pl.Series):
        return returns.cast(pl.Float64).to_numpy().copy(), None
    if isinstance(returns, pl.DataFrame):
        return _read_polars(returns)
    if hasattr(returns, "index") and hasattr(returns, "iloc"):
        return _read_pandas(returns)
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 1:
        raise RiskError(f"returns have shape {values.shape}: one series is needed")
    return values, None


def _read_polars(frame: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.datetime64] | None]:
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_numeric()]
    times = [name for name, dtype in frame.schema.items() if dtype in (pl.Date, pl.Datetime)]
    column = _only(numbers, "number")
    days = None
    if times:
        days = frame[_only(times, "date")].cast(pl.Date).to_numpy().astype("datetime64[D]")
    return frame[column].cast(pl.Float64).to_numpy().copy(), days


def _read_pandas(data: Any) -> tuple[NDArray[np.float64], NDArray[np.datetime64] | None]:
    index = data.index
    if hasattr(data, "columns"):
        dates = list(data.select_dtypes(["datetime", "datetimetz"]).columns)
        numbers = list(data.select_dtypes("number").columns)
        if dates:
            data = data.set_index(_only(dates, "date"))
            index = data.index
        data = data[_only(numbers, "number")]
    values = np.array(data.to_numpy(dtype="float64", na_value=np.nan), dtype=np.float64)
    if not hasattr(index, "tz_localize"):
        return values, None
    return values, index.tz_localize(None).to_numpy().astype("datetime64[D]")


def _only(names: Sequence[str], kind: str) -> str:
    # `net_return` is the house's own name for it, so a row of backtest.equity needs no choosing.
    if "net_return" in names:
        return "net_return"
    if len(names) != 1:
        raise RiskError(f"the frame needs exactly one {kind} column, it has {list(names)}")
    return names[0]
