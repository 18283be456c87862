"""What a trial is, how it is named, and how many competed for the same question.

Belongs here: identity and counting. Does not belong here: writing the ledger (the warehouse does)
and any judgement of a trial.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from btq_assets.contracts import evidence
from btq_assets.evidence.sharpe import sharpe_moments

_FREQUENCIES = (
    (timedelta(hours=18), "intraday"),
    (timedelta(days=4.5), "day"),
    (timedelta(days=10), "week"),
    (timedelta(days=45), "month"),
    (timedelta(days=120), "quarter"),
)


class TrialError(ValueError):
    """A trial without returns, with disordered times, or of unknown purpose."""


def trial_id(
    *,
    strategy: str,
    universe: str,
    config: Mapping[str, Any] | str,
    data_hash: str,
    seed: int,
    code_version: str,
) -> str:
    """Name of a trial: hash of configuration (strategy and universe included), data, seed, code.

    An identical re-run has the same name, so the ledger's upsert adds nothing.
    """
    return _digest(
        {
            "strategy": strategy,
            "universe": universe,
            "config": _json(config),
            "data": data_hash,
            "seed": seed,
            "code": code_version,
        }
    )


def question_id(universe: str, first_ts: datetime, last_ts: datetime, frequency: str) -> str:
    """Name of the question trials compete for: same universe, dates and frequency."""
    return _digest(
        {
            "universe": universe,
            "first_ts": first_ts.isoformat(),
            "last_ts": last_ts.isoformat(),
            "frequency": frequency,
        }
    )


def frequency_of(ts: pl.Series) -> str:
    """``intraday``, ``day``, ``week``, ``month``, ``quarter`` or ``year``, by the median gap."""
    gap = ts.diff().drop_nulls().median()
    if not isinstance(gap, timedelta):
        raise TrialError("one time has no frequency; a trial needs at least two returns")
    return next((name for limit, name in _FREQUENCIES if gap <= limit), "year")


def trial_rows(
    returns: pl.DataFrame,
    *,
    strategy: str,
    universe: str,
    purpose: str,
    config: Mapping[str, Any] | str,
    data_hash: str,
    code_version: str,
    seed: int,
    run_id: str,
    recorded_at: datetime,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the two trial ledgers for one return series.

    Parameters
    ----------
    returns
        ``ts`` (any zone, made UTC; any order) and ``net_return`` (simple, per period); null
        returns, such as that of the first bar, are left out.
    strategy, universe
        Names used in every table.
    purpose
        One of ``contracts.evidence.PURPOSES``. Only candidates are counted by deflation.
    config
        Everything that was set; a mapping that JSON can hold, or JSON text.
    data_hash, code_version, seed
        Where the trial comes from.
    run_id, recorded_at
        Who recorded it and when; not part of its identity.

    Returns
    -------
    (trials, trial_returns)
        One row of `evidence.trials`, and its rows of `evidence.trial_returns`.

    Raises
    ------
    TrialError
        Fewer than two returns, times without a zone, a repeated time, a return that is not finite,
        or an unknown purpose.
    """
    if purpose not in evidence.PURPOSES:
        raise TrialError(f"purpose {purpose!r} of {strategy} is none of {evidence.PURPOSES}")
    zone = getattr(returns.schema["ts"], "time_zone", None)
    if zone is None:
        raise TrialError(
            f"{strategy}: ts is {returns.schema['ts']}; times need a zone, so that the same returns "
            "have the same name wherever they were made"
        )
    kept = (
        returns.select(
            pl.col("ts").dt.convert_time_zone("UTC"), pl.col("net_return").cast(pl.Float64)
        )
        .drop_nulls()
        .sort("ts")
    )
    if kept.height < 2:
        raise TrialError(f"{strategy}: {kept.height} return(s); a trial needs at least two")
    if kept["ts"].is_duplicated().any():
        raise TrialError(f"{strategy}: a time occurs twice in the returns")
    if not kept["net_return"].is_finite().all():
        raise TrialError(f"{strategy}: a return is NaN or infinite")
    first, last = kept["ts"][0], kept["ts"][-1]
    name = trial_id(
        strategy=strategy,
        universe=universe,
        config=config,
        data_hash=data_hash,
        seed=seed,
        code_version=code_version,
    )
    moments = sharpe_moments(kept["net_return"].to_numpy())
    row = {
        "trial_id": name,
        "question": question_id(universe, first, last, frequency_of(kept["ts"])),
        "purpose": purpose,
        "strategy": strategy,
        "universe": universe,
        "first_ts": first,
        "last_ts": last,
        "n_returns": kept.height,
        "sharpe_per_period": _finite(moments.sharpe),
        "skewness": _finite(moments.skewness),
        "kurtosis": _finite(moments.kurtosis),
        "config_json": _json(config),
        "data_hash": data_hash,
        "code_version": code_version,
        "seed": seed,
        "run_id": run_id,
        "recorded_at": recorded_at,
    }
    trials = pl.DataFrame([row], schema=evidence.TRIALS.schema)
    series = kept.select(pl.lit(name).alias("trial_id"), "ts", "net_return")
    return trials, series.cast(evidence.TRIAL_RETURNS.schema)


def count_trials(trials: pl.DataFrame, question: str) -> int:
    """Number of distinct candidates of `question` in the ledger: at least so many were tried."""
    return trials.filter((pl.col("question") == question) & (pl.col("purpose") == "candidate"))[
        "trial_id"
    ].n_unique()


def _json(config: Mapping[str, Any] | str) -> str:
    if isinstance(config, str):
        return config
    return json.dumps(config, sort_keys=True, default=str)


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def _finite(value: float) -> float | None:
    return value if value == value and abs(value) != float("inf") else None
