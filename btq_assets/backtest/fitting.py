"""Fitting any model class on some decisions and forecasting others; what is tried, and its score.

Belongs here: the contract with a model (arrays in, one forecast per symbol out), default positions
and score, sets of parameters. Does not belong here: which decisions (`folds`, `cross_validation`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from btq_assets.backtest.folds import Window, inner_blocks
from btq_assets.backtest.market import BacktestError
from btq_assets.backtest.samples import Samples, rank_correlation

if TYPE_CHECKING:
    from btq_assets.backtest.walk_forward import WalkForwardOptimizer

#: Positions of the decisions learnt from, and of those forecast.
Block = tuple[np.ndarray, np.ndarray]

#: Forecasts of one decision in, weights out.
Positions = Callable[[np.ndarray], np.ndarray]

#: Scores forecasts against labels: ``score(decision, forecast, label)``; larger is better.
Score = Callable[[np.ndarray, np.ndarray, np.ndarray], float]

#: Values per parameter (all combinations are tried), or the sets themselves.
Parameters = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]

#: Symbols from which forecasts are ranked within a decision rather than over time.
LEAST_SYMBOLS = 3

#: Share of the training rows a feature must have a value in.
LEAST_FILLED = 0.5


class Learner(Protocol):
    """Fits one kind of model on some decisions and forecasts others."""

    @property
    def name(self) -> str:
        """Name under which its trials are recorded."""

    def blocks(self, window: Window) -> list[Block]:
        """Blocks inside a training window, for choosing parameters."""

    def outer(self, window: Window) -> Block:
        """What a window trains on and tests."""

    def forecast(self, chosen: Mapping[str, Any], block: Block) -> pl.DataFrame:
        """``decision``, ``symbol``, ``ts``, ``forecast`` of the decisions to be forecast."""


class ArrayLearner:
    """Any class with ``fit(x, y)`` and ``predict(x)`` on arrays."""

    def __init__(
        self, model_class: Callable[..., Any], data: Samples, n_blocks: int, embargo: int
    ) -> None:
        self.model_class = model_class
        self.data = data
        self.n_blocks = n_blocks
        self.embargo = embargo

    @property
    def name(self) -> str:
        """Name of the class."""
        return name_of(self.model_class)

    def blocks(self, window: Window) -> list[Block]:
        """Each block judged by what is learnt from the others, purged and embargoed."""
        return inner_blocks(
            window.train, self.data.decided_at, self.data.label_end, self.n_blocks, self.embargo
        )

    def outer(self, window: Window) -> Block:
        """The purged training decisions and the tested ones."""
        return window.train, window.test

    def forecast(self, chosen: Mapping[str, Any], block: Block) -> pl.DataFrame:
        """See `forecast`."""
        return forecast(self.data, self.model_class, chosen, *block)


def learner_of(walker: WalkForwardOptimizer, model_class: Any) -> Learner:
    """What fits a model class: a forecaster of the house on panels, anything else on arrays."""
    from btq_assets.backtest.forecasters import ForecasterLearner, forecaster_class

    house = forecaster_class(model_class)
    if house is None:
        return ArrayLearner(model_class, walker.samples, walker.n_inner_blocks, walker.embargo)
    return ForecasterLearner(
        house,
        walker.panel(),
        walker.samples,
        horizon_sessions=walker.horizon_sessions,
        validation_months=walker.validation_months,
        n_blocks=walker.n_inner_blocks,
        data_hash=walker.data_hash(),
    )


def long_positive(forecasts: np.ndarray) -> np.ndarray:
    """Equal weights for positive forecasts, adding up to one; cash where there is none."""
    wanted = forecasts > 0
    return wanted / max(int(wanted.sum()), 1)


def rank_score(decision: np.ndarray, forecast: np.ndarray, label: np.ndarray) -> float:
    """Mean rank correlation within decisions; over time where there are fewer than 3 symbols."""
    _, start, size = np.unique(decision, return_index=True, return_counts=True)
    if size.max(initial=0) < LEAST_SYMBOLS:
        return rank_correlation(forecast, label) if forecast.size > 1 else float("nan")
    found = [
        rank_correlation(forecast[a : a + n], label[a : a + n])
        for a, n in zip(start, size, strict=True)
        if n >= LEAST_SYMBOLS
    ]
    known = [value for value in found if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def forecast(
    data: Samples,
    model_class: Callable[..., Any],
    chosen: Mapping[str, Any],
    train: np.ndarray,
    test: np.ndarray,
) -> pl.DataFrame:
    """Fit on some decisions and forecast others, one at a time.

    Parameters
    ----------
    data
        Features and labels.
    model_class, chosen
        Called with the set chosen; has ``fit(x, y)`` and ``predict(x)`` on arrays.
    train, test
        Positions of decisions. Rows with a missing feature or, in training, label are left
        out; so are features with a value in fewer than half of the training rows.

    Returns
    -------
    polars.DataFrame
        ``decision``, ``symbol``, ``ts``, ``forecast``.
    """
    rows = data.rows(train)
    columns = np.isfinite(data.x[rows]).mean(axis=0) >= LEAST_FILLED
    x = data.x[:, columns]
    whole = np.isfinite(x).all(axis=1)
    rows = rows[whole[rows] & np.isfinite(data.y[rows])]
    if rows.size == 0:
        raise BacktestError(
            f"no complete row to train on before {data.decided_at[int(test[0])]}: of "
            f"{list(data.features)[:5]} at least one is always missing"
        )
    model = model_class(**chosen)
    model.fit(x[rows].copy(), data.y[rows].copy())
    parts = []
    for decision in test:
        asked = data.rows(np.array([decision]))
        asked = asked[whole[asked]]
        if asked.size == 0:
            continue
        answer = np.asarray(model.predict(x[asked].copy()), dtype=float).ravel()
        if answer.shape != asked.shape or not np.isfinite(answer).all():
            raise BacktestError(
                f"{name_of(model_class)} at {data.decided_at[int(decision)]}: {answer.size} "
                f"forecast(s) for {asked.size} symbol(s), all must be finite"
            )
        parts.append((decision, asked, answer))
    return pl.DataFrame(
        {
            "decision": [int(d) for d, asked, _ in parts for _ in asked],
            "symbol": [str(data.symbols[i]) for _, asked, _ in parts for i in asked],
            "forecast": [float(v) for _, _, answer in parts for v in answer],
        },
        schema={"decision": pl.Int64, "symbol": pl.String, "forecast": pl.Float64},
    ).with_columns(
        ts=pl.col("decision").map_elements(data.decided_at.__getitem__, data.decided_at.dtype)
    )


def parameter_sets(parameters: Parameters | None) -> list[dict[str, Any]]:
    """The sets to try: all combinations of a mapping of values, or the sets given.

    Raises
    ------
    BacktestError
        No set, or a parameter without values.
    """
    if parameters is None:
        return [{}]
    if isinstance(parameters, Mapping):
        bare = [
            n for n, v in parameters.items() if isinstance(v, str) or not isinstance(v, Sequence)
        ]
        if bare:
            raise BacktestError(f"parameter(s) {bare}: a list of values is needed")
        sets = [
            dict(zip(parameters, values, strict=True))
            for values in itertools.product(*parameters.values())
        ]
    else:
        sets = [dict(chosen) for chosen in parameters]
    if not sets:
        raise BacktestError("there is no set of parameters to try")
    return sets


def name_of(model_class: Callable[..., Any]) -> str:
    """Name under which a model class is recorded."""
    return getattr(model_class, "__name__", type(model_class).__name__)
