"""Intervals around forecasts with a promised share of outcomes inside.

Belongs here: split conformal intervals, and their adaptive form for series that drift. Does not belong
here: variances that a model claims (`ensembles.distribution`), and fitting.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from btq_assets.models.forecaster import ModelError

_KEY = ["universe", "symbol", "ts"]


def conformal_quantile(scores: np.ndarray, miss_rate: float) -> float:
    r"""The :math:`\lceil (n + 1)(1 - \alpha) \rceil`-th smallest score (Lei et al. 2018, algorithm 2).

    Parameters
    ----------
    scores
        Absolute errors of ``n`` forecasts made out of sample.
    miss_rate
        :math:`\alpha`, the share of outcomes that may fall outside.

    Returns
    -------
    float
        Infinite where ``n`` scores are too few for so small a miss rate, and for a miss rate of 0 or
        less; ``-inf`` (an empty interval) for one of 1 or more.
    """
    n = len(scores)
    rank = math.ceil((n + 1) * (1 - miss_rate) - 1e-9)
    if rank > n:
        return math.inf
    if rank < 1:
        return -math.inf
    return float(np.partition(scores, rank - 1)[rank - 1])


@dataclass(frozen=True)
class SplitConformal:
    r"""Intervals as wide as past errors out of sample.

    With exchangeable errors an outcome falls inside with probability at least :math:`1 - \alpha`, and
    at most :math:`1 - \alpha + 1 / (n + 1)` without ties (Lei et al. 2018, theorem 2.2). Errors of
    one date are not exchangeable with those of another when markets drift: see
    `adaptive_intervals`.

    Parameters
    ----------
    half_width
        Of every interval, in units of the forecast, or of its scale.
    miss_rate
        Promised.
    n_scores
        Errors it was learnt from.
    scaled
        Whether widths are in proportion to a ``scale`` of each forecast (section 5.2).
    """

    half_width: float
    miss_rate: float
    n_scores: int
    scaled: bool = False

    @classmethod
    def fit(cls, calibration: pl.DataFrame, miss_rate: float = 0.1) -> SplitConformal:
        """Learn the width from forecasts that were fitted without these labels.

        Parameters
        ----------
        calibration
            ``forecast``, ``label`` and, for widths that differ, ``scale`` (a standard deviation of
            each forecast; positive). Rows without a finite number are left out.

        Raises
        ------
        ModelError
            A miss rate not between 0 and 1, a scale that is not positive, or too few rows for any
            finite interval.
        """
        _require_rate(miss_rate)
        rows = _finite(calibration, ("forecast", "label"))
        error = (rows["label"] - rows["forecast"]).abs().to_numpy()
        scaled = "scale" in rows.columns
        if scaled:
            error = error / _scale(rows)
        width = conformal_quantile(error, miss_rate)
        if not math.isfinite(width):
            raise ModelError(
                f"{rows.height} error(s) are too few for a miss rate of {miss_rate}; at least "
                f"{math.ceil(1 / miss_rate - 1e-9) - 1} are needed"
            )
        return cls(width, miss_rate, rows.height, scaled)

    def intervals(self, forecasts: pl.DataFrame) -> pl.DataFrame:
        """`forecasts` with ``lower`` and ``upper``.

        Raises
        ------
        ModelError
            Fitted with a scale, and `forecasts` has none.
        """
        width = pl.lit(self.half_width)
        if self.scaled:
            if "scale" not in forecasts.columns:
                raise ModelError("these intervals were fitted with a scale; forecasts have none")
            width = pl.Series(self.half_width * _scale(forecasts))  # type: ignore[assignment]
        return forecasts.with_columns(
            lower=pl.col("forecast") - width, upper=pl.col("forecast") + width
        )


def adaptive_intervals(
    rows: pl.DataFrame,
    *,
    miss_rate: float = 0.1,
    step: float = 0.02,
    window: int = 1_000,
    minimum_scores: int = 50,
) -> pl.DataFrame:
    r"""Intervals that keep their coverage while errors drift (Gibbs and Candès 2021).

    Each decision gets split conformal intervals of the last `window` errors at the miss rate
    :math:`\alpha_t`; once the outcome is known, :math:`\alpha_{t+1} = \alpha_t + \gamma (\alpha -
    \mathrm{err}_t)` (eq. 2), where :math:`\mathrm{err}_t` is the share of the decision's outcomes
    that fell outside. An outcome is known when its label is filled, so that with labels over several
    sessions the answer comes as late as it would have come. Without delay, over :math:`T` answers and
    whatever the errors are, the mean of :math:`\mathrm{err}_t` differs from :math:`\alpha` by at most
    :math:`(\max\{\alpha_1, 1 - \alpha_1\} + \gamma) / (T \gamma)` (proposition 4.1).

    Parameters
    ----------
    rows
        ``universe``, ``symbol``, ``ts``, ``forecast`` (out of sample), ``label``,
        ``label_end_ts``; a label may be null.
    miss_rate, step
        :math:`\alpha` and :math:`\gamma`.
    window
        Errors that count at most, the newest.
    minimum_scores
        Before so many errors are known there is no interval and no answer.

    Returns
    -------
    polars.DataFrame
        ``universe``, ``symbol``, ``ts``, ``forecast``, ``lower``, ``upper`` (null before
        `minimum_scores`; infinite where :math:`\alpha_t \le 0`; both the forecast where it is 1 or
        more), ``miss_rate`` (:math:`\alpha_t`).

    Raises
    ------
    ModelError
        A miss rate, step or window out of range; a label that ends at its decision or before.
    """
    _require_rate(miss_rate)
    if not 0 < step <= 1:
        raise ModelError(f"step {step} must lie between 0 and 1")
    if window < minimum_scores or minimum_scores < 1:
        raise ModelError(
            f"window {window} must hold at least minimum_scores = {minimum_scores} >= 1"
        )
    data = rows.select(
        *_KEY,
        pl.col("forecast", "label").cast(pl.Float64),
        pl.col("label_end_ts").cast(rows.schema["ts"]),
    )
    data = data.sort("ts", "universe", "symbol")
    early = data.filter(pl.col("label_end_ts") <= pl.col("ts"))
    if early.height:
        raise ModelError(f"{early.height} label(s) end at their decision or before it")
    if data.is_empty():
        raise ModelError("there is no forecast to put an interval around")
    state = _Adaptive(miss_rate, step, window, minimum_scores)
    errors = (data["label"] - data["forecast"]).abs().fill_null(np.nan).to_numpy()
    stamps = data["ts"].to_physical().to_numpy()
    known = data["label_end_ts"].is_not_null().to_numpy() & np.isfinite(errors)
    ends = data["label_end_ts"].to_physical().fill_null(0).to_numpy()
    width, rate = np.full(len(errors), np.nan), np.empty(len(errors))
    for rows_of in np.split(np.arange(len(errors)), np.flatnonzero(np.diff(stamps)) + 1):
        state.learn_until(int(stamps[rows_of[0]]))
        width[rows_of], rate[rows_of] = state.width(), state.rate
        waiting = rows_of[known[rows_of]]
        state.ask(errors[waiting], ends[waiting])
    half = pl.Series(np.maximum(width, 0.0)).fill_nan(None)
    return data.select(
        *_KEY,
        "forecast",
        lower=pl.col("forecast") - half,
        upper=pl.col("forecast") + half,
        miss_rate=pl.Series(rate),
    ).sort(_KEY)


class _Adaptive:
    """The miss rate in force, the errors known, and the outcomes still awaited."""

    def __init__(self, target: float, step: float, window: int, minimum: int) -> None:
        self.target, self.step, self.window, self.minimum = target, step, window, minimum
        self.rate = target
        self.scores = np.zeros(0)
        #: When the outcomes are known, their order, errors, and the width they are judged by.
        self.awaited: list[tuple[int, int, np.ndarray, float]] = []
        self.asked = 0

    def width(self) -> float:
        """Half-width by what is known; NaN before there are enough errors."""
        if len(self.scores) < self.minimum:
            return math.nan
        return conformal_quantile(self.scores, self.rate)

    def ask(self, errors: np.ndarray, ends: np.ndarray) -> None:
        """Wait for the outcomes of a decision, each until its label is filled."""
        width = self.width()
        for end in np.unique(ends):
            heapq.heappush(self.awaited, (int(end), self.asked, errors[ends == end], width))
            self.asked += 1

    def learn_until(self, now: int) -> None:
        """Take in the outcomes filled by `now`."""
        while self.awaited and self.awaited[0][0] <= now:
            _, _, errors, width = heapq.heappop(self.awaited)
            if not math.isnan(width):
                self.rate += self.step * (self.target - float((errors > width).mean()))
            self.scores = np.concatenate([self.scores, errors])[-self.window :]


def coverage(intervals: pl.DataFrame, labels: pl.DataFrame) -> float:
    """Share of labels inside their interval, among those that have one; NaN without any."""
    joined = intervals.join(labels.select(*_KEY, "label"), on=_KEY).drop_nulls(
        ["lower", "upper", "label"]
    )
    inside = joined.select(pl.col("label").is_between("lower", "upper").mean()).item()
    return float("nan") if inside is None else float(inside)


def _require_rate(miss_rate: float) -> None:
    if not 0 < miss_rate < 1:
        raise ModelError(f"miss rate {miss_rate} must lie between 0 and 1")


def _finite(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise ModelError(f"calibration rows lack column(s) {missing}")
    return frame.filter(pl.all_horizontal(pl.col(name).is_finite() for name in names))


def _scale(frame: pl.DataFrame) -> np.ndarray:
    scale = frame["scale"].cast(pl.Float64).to_numpy()
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ModelError("a scale is not positive and finite")
    return scale
