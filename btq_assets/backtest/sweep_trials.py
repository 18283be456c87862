"""Every set of a sweep as a trial of the ledger.

Belongs here: rows of the trial ledgers for many sets at once. Does not belong here: what a trial
is and how it is named (`evidence.trials`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.backtest.market import Market
from btq_assets.contracts import evidence
from btq_assets.evidence.trials import frequency_of, question_id, trial_id

if TYPE_CHECKING:
    from btq_assets.backtest.families import WeightFamily
    from btq_assets.backtest.sweeps import Terms


@dataclass(frozen=True)
class TrialSource:
    """Who ran a sweep.

    Parameters
    ----------
    strategy
        Name of the strategy its sets belong to.
    code_version
        Hash of the code, or ``notebook``.
    run_id, recorded_at
        Run, and when (UTC).
    purpose
        Of all its trials.
    """

    strategy: str
    code_version: str
    run_id: str
    recorded_at: datetime
    purpose: str = "candidate"


def trial_config(parameters: Mapping[str, Any], terms: Terms) -> dict[str, Any]:
    """What identifies a set beside data and code."""
    spread = np.asarray(terms.costs.half_spread_bps, dtype=float)
    return {
        "parameters": dict(parameters),
        "costs": {
            "commission_bps": terms.costs.commission_bps,
            "half_spread_bps": [float(spread.min()), float(spread.max())],
            "commission_per_share": terms.costs.commission_per_share,
            "impact_coefficient": terms.costs.impact_coefficient,
        },
        "initial_cash": terms.initial_cash,
        "max_gross_exposure": terms.max_gross,
    }


def sweep_trials(
    market: Market,
    family: WeightFamily,
    terms: Terms,
    part: range,
    statistics: np.ndarray,
    returns: np.ndarray,
    source: TrialSource,
    data_hash: str,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of `evidence.trials` and `evidence.trial_returns`, as `evidence.trials.trial_rows` has them.

    Parameters
    ----------
    part
        Numbers of the sets.
    statistics
        Statistics of all sets, columns as in `sweep_kernel.STATISTICS`.
    returns
        ``float64[len(part), T - 1]``.

    Raises
    ------
    ValueError
        A return is not finite; the message names the set.
    """
    import json

    from btq_assets.backtest.sweep_kernel import STATISTICS

    bad = np.flatnonzero(~np.isfinite(returns).all(axis=1))
    if bad.size:
        raise ValueError(
            f"set {part[int(bad[0])]} {dict(family.parameters[part[int(bad[0])]])}: a return is NaN "
            "or infinite; its equity reached zero"
        )
    ts = market.ts.slice(1)
    first, last = ts[0], ts[-1]
    question = question_id(market.universe, first, last, frequency_of(ts))
    column = {name: number for number, name in enumerate(STATISTICS)}
    names, configs = [], []
    for number in part:
        config = json.dumps(
            trial_config(family.parameters[number], terms), sort_keys=True, default=str
        )
        configs.append(config)
        names.append(
            trial_id(
                strategy=source.strategy,
                universe=market.universe,
                config=config,
                data_hash=data_hash,
                seed=0,
                code_version=source.code_version,
            )
        )
    own = statistics[part.start : part.stop]
    trials = pl.DataFrame({"trial_id": names, "config_json": configs}).with_columns(
        question=pl.lit(question),
        purpose=pl.lit(source.purpose),
        strategy=pl.lit(source.strategy),
        universe=pl.lit(market.universe),
        first_ts=pl.lit(first),
        last_ts=pl.lit(last),
        n_returns=pl.lit(returns.shape[1]),
        **{
            name: pl.Series(own[:, column[name]]).fill_nan(None)
            for name in ("sharpe_per_period", "skewness", "kurtosis")
        },
        data_hash=pl.lit(data_hash),
        code_version=pl.lit(source.code_version),
        seed=pl.lit(0),
        run_id=pl.lit(source.run_id),
        recorded_at=pl.lit(source.recorded_at),
    )
    series = pl.DataFrame(
        {
            "trial_id": pl.Series(names).gather(np.repeat(np.arange(len(names)), returns.shape[1])),
            "ts": pl.concat([ts] * len(names)),
            "net_return": returns.ravel(),
        }
    )
    return (
        trials.select(evidence.TRIALS.column_names).cast(evidence.TRIALS.schema),
        series.cast(evidence.TRIAL_RETURNS.schema),
    )
