"""Combinatorial purged cross-validation: many out-of-sample paths from one history.

Belongs here: splits of decisions by skfolio, purge and embargo from the label, and the paths put
together again. Does not belong here: fitting and the engine (`walk_forward`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from btq_assets.backtest.fitting import forecast, name_of
from btq_assets.backtest.folds import reach
from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.recording import MemoryLedger, Recorder, Trial
from btq_assets.backtest.result import BacktestResult

if TYPE_CHECKING:
    from btq_assets.backtest.walk_forward import WalkForwardOptimizer

FIGURES = ("annual_return", "annual_volatility", "sharpe", "max_drawdown")


@dataclass(frozen=True)
class CombinatorialResult:
    """Paths of a combinatorial purged cross-validation.

    Attributes
    ----------
    n_splits, n_paths
        ``C(N, k)`` fits, and ``C(N, k) k / N`` paths put together from their test blocks.
    purge, embargo
        Decisions left out of training on either side of a test block, and beyond it.
    forecasts
        ``path``, ``split``, ``symbol``, ``ts``, ``forecast``: each path has every decision once.
    figures
        One row per path, of its net returns through the engine.
    paths
        The paths.
    trials, trial_returns
        As in `WalkForwardResult`; one trial per path.
    """

    n_splits: int
    n_paths: int
    purge: int
    embargo: int
    forecasts: pl.DataFrame
    figures: pl.DataFrame
    paths: tuple[BacktestResult, ...]
    trials: pl.DataFrame
    trial_returns: pl.DataFrame


def combinatorial_paths(
    optimizer: WalkForwardOptimizer,
    model_class: Callable[..., Any],
    chosen: Mapping[str, Any],
    *,
    n_folds: int,
    n_test_folds: int,
    recorder: Recorder | None = None,
) -> CombinatorialResult:
    """Every choice of `n_test_folds` out of `n_folds` blocks tested by a fit on the others.

    López de Prado (2018), *Advances in Financial Machine Learning*, section 12.4; splits and
    path numbers are skfolio's. Training lies on both sides of a test, so this asks how much the
    figures hang on which history came first; it is no record of what could have been earned.

    Parameters
    ----------
    optimizer
        Holds samples, positions and terms.
    model_class, chosen
        Model and its parameters; nothing is chosen here.
    n_folds, n_test_folds
        ``N`` and ``k``, ``2 <= k < N``.
    recorder
        Told of the trial of every path.

    Raises
    ------
    BacktestError
        Numbers that cannot be, or blocks no longer than purge and embargo.
    """
    from skfolio.model_selection import CombinatorialPurgedCV

    from btq_assets.backtest.forecasters import forecaster_class

    if forecaster_class(model_class) is not None:
        raise BacktestError(
            f"{model_class!r} reads an unbroken history and stops early on the end of it; blocks "
            "with training on both sides have neither. Use optimize(), or a class on arrays"
        )

    data = optimizer.samples
    labelled = np.flatnonzero(data.label_end.is_not_null().to_numpy())
    purge = reach(data.decided_at, data.label_end)
    embargo = optimizer.embargo
    try:
        splitter = CombinatorialPurgedCV(
            n_folds=n_folds, n_test_folds=n_test_folds, purged_size=purge, embargo_size=embargo
        )
        splits = list(splitter.split(labelled.reshape(-1, 1)))
    except ValueError as error:
        raise BacktestError(
            f"n_folds = {n_folds}, n_test_folds = {n_test_folds} over {labelled.size} decisions "
            f"with a purge of {purge} and an embargo of {embargo}: {error}"
        ) from error
    parts = []
    for split, ((train, tests), path_ids) in enumerate(
        zip(splits, splitter.get_path_ids(), strict=True)
    ):
        test = labelled[np.concatenate(tests)]
        found = forecast(data, model_class, chosen, labelled[train], test)
        for block, path in zip(tests, path_ids, strict=True):
            mine = found.filter(pl.col("decision").is_in(labelled[block].tolist()))
            parts.append(mine.with_columns(path=pl.lit(int(path)), split=pl.lit(split)))
    forecasts = pl.concat(parts).sort("path", "ts", "symbol")
    ledger = MemoryLedger(recorder, in_session=True)
    paths = []
    for path in range(splitter.n_test_paths):
        paths.append(optimizer.run(forecasts.filter(path=path)))
        ledger.record(
            Trial(
                strategy=name_of(model_class),
                returns=paths[-1].equity.select("ts", "net_return").drop_nulls(),
                config={
                    "parameters": json.loads(json.dumps(dict(chosen), default=str)),
                    "segment": "combinatorial",
                    "n_folds": n_folds,
                    "n_test_folds": n_test_folds,
                    "path": path,
                    **optimizer.config(),
                },
                data_hash=optimizer.data_hash(),
            )
        )
    return CombinatorialResult(
        n_splits=splitter.n_splits,
        n_paths=splitter.n_test_paths,
        purge=purge,
        embargo=embargo,
        forecasts=forecasts.select("path", "split", "symbol", "ts", "forecast"),
        figures=pl.DataFrame(
            [
                {"path": path, **{name: done.metrics[name] for name in FIGURES}}
                for path, done in enumerate(paths)
            ]
        ).fill_nan(None),
        paths=tuple(paths),
        trials=ledger.trials(),
        trial_returns=ledger.returns(),
    )
