"""Volatility smiles: one curve of total variance over log-moneyness per expiry.

Belongs here: fits of SVI (Gatheral 2004: "A parsimonious arbitrage-free implied volatility
parameterization") and of a quadratic, what is read off them, and the two arbitrage tests. Does not
belong here: prices and quotes.

Log-moneyness is k = log(strike / forward); total variance is w = volatility² × years.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from btq_assets.sources.alternative.black import log_moneyness_of_delta

Floats = npt.NDArray[np.float64]

_GRID = 201
#: Total variance grows at most so fast in the wings (Lee 2004: slope of w over |k| below 2).
_STEEPEST = 2.0
_REFINEMENTS = 7
#: Rounding, relative to total variance.
_TOLERANCE = 1e-6


class FitError(ValueError):
    """There are too few volatilities for a curve."""


@dataclass(frozen=True)
class Smile:
    """A fitted curve.

    Parameters
    ----------
    method
        ``svi``: w = a + b (rho (k - m) + sqrt((k - m)² + sigma²)); ``quadratic``: w = a + b k +
        sigma k².
    years
        Time to expiry.
    a, b, rho, m, sigma
        Parameters; rho and m are NaN for the quadratic.
    k_low, k_high
        Span of the volatilities fitted.
    rmse
        Root mean square of fitted less given volatility.
    """

    method: Literal["svi", "quadratic"]
    years: float
    a: float
    b: float
    rho: float
    m: float
    sigma: float
    k_low: float
    k_high: float
    rmse: float

    def total_variance(self, k: npt.ArrayLike) -> Floats:
        """Volatility² × years at log-moneyness `k`."""
        x = np.asarray(k, dtype=float)
        if self.method == "quadratic":
            return self.a + self.b * x + self.sigma * x**2
        shifted = x - self.m
        return self.a + self.b * (self.rho * shifted + np.sqrt(shifted**2 + self.sigma**2))

    def volatility(self, k: npt.ArrayLike) -> Floats:
        """Annual volatility at log-moneyness `k`; NaN where the curve is negative."""
        w = self.total_variance(k)
        return np.sqrt(np.where(w > 0, w, np.nan) / self.years)

    def volatility_at_delta(self, right: float, delta: float) -> float:
        """Volatility where the forward delta of a call (+1) or put (-1) is `delta`.

        NaN where that lies outside the volatilities fitted: wings are not extrapolated.
        """
        k = np.linspace(self.k_low, self.k_high, 4 * _GRID)
        # At the right strike the log-moneyness that belongs to its own volatility is itself.
        gap = k - log_moneyness_of_delta(
            right, delta, np.sqrt(np.maximum(self.total_variance(k), 0))
        )
        crossings = np.flatnonzero(np.sign(gap[:-1]) * np.sign(gap[1:]) <= 0)
        if not crossings.size:
            return float("nan")
        i = int(crossings[0])
        share = 0.0 if gap[i] == gap[i + 1] else gap[i] / (gap[i] - gap[i + 1])
        return float(self.volatility(k[i] + share * (k[i + 1] - k[i])))

    def durrleman(self, k: npt.ArrayLike) -> Floats:
        """Durrleman's g (Gatheral and Jacquier 2014, equation 2.1): negative where the density is."""
        x = np.asarray(k, dtype=float)
        w = self.total_variance(x)
        if self.method == "quadratic":
            first, second = self.b + 2 * self.sigma * x, np.full_like(x, 2 * self.sigma)
        else:
            shifted = x - self.m
            root = np.sqrt(shifted**2 + self.sigma**2)
            first = self.b * (self.rho + shifted / root)
            second = self.b * self.sigma**2 / root**3
        return (1 - x * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2

    def butterfly_free(self) -> bool:
        """Whether the risk-neutral density is nowhere negative between the quotes, on a grid."""
        k = np.linspace(self.k_low, self.k_high, _GRID)
        if np.any(self.total_variance(k) <= 0):
            return False
        return bool(np.all(self.durrleman(k) >= -_TOLERANCE))


def calendar_free(near: Smile, far: Smile) -> bool:
    """Whether total variance of the later expiry is nowhere below that of the earlier one.

    At equal log-moneyness, over the span both were fitted on (Gatheral and Jacquier 2014, lemma
    2.1). Expiries without a common span say nothing, and pass.
    """
    low, high = max(near.k_low, far.k_low), min(near.k_high, far.k_high)
    if low >= high:
        return True
    k = np.linspace(low, high, _GRID)
    early, late = near.total_variance(k), far.total_variance(k)
    return bool(np.all(late >= early * (1 - _TOLERANCE)))


def fit_smile(
    k: npt.ArrayLike,
    volatility: npt.ArrayLike,
    years: float,
    *,
    method: Literal["svi", "quadratic"] = "svi",
    weights: npt.ArrayLike | None = None,
) -> Smile:
    """Fit one expiry.

    SVI has five parameters and needs as many volatilities; with three or four a quadratic is fitted
    instead. Both minimise weighted squares of what is, to first order, fitted less given volatility.

    Parameters
    ----------
    k, volatility
        Same length, finite.
    years
        Time to expiry, positive.
    weights
        Of each volatility; equal by default.

    Raises
    ------
    FitError
        Fewer than three different strikes.
    """
    x, v = np.asarray(k, dtype=float), np.asarray(volatility, dtype=float)
    if np.unique(x).size < 3:
        raise FitError(f"{np.unique(x).size} strikes are too few for a smile; three are the least")
    given = np.ones_like(x) if weights is None else np.asarray(weights, dtype=float)
    w = v**2 * years
    # d(volatility) = d(w) / (2 volatility years).
    scale = np.sqrt(given / given.sum()) / (2 * v * years)
    if method == "svi" and x.size >= 5:
        parameters = _fit_svi(x, w, scale)
    else:
        method, parameters = "quadratic", _fit_quadratic(x, w, scale)
    curve = Smile(method, years, *parameters, float(x.min()), float(x.max()), 0.0)
    gap = np.sqrt(np.maximum(curve.total_variance(x), 0) / years) - v
    return Smile(
        method, years, *parameters, curve.k_low, curve.k_high, float(np.sqrt(np.mean(gap**2)))
    )


def _fit_quadratic(x: Floats, w: Floats, scale: Floats) -> tuple[float, float, float, float, float]:
    design = np.column_stack([np.ones_like(x), x, x**2]) * scale[:, None]
    a, b, c = np.linalg.lstsq(design, w * scale, rcond=None)[0]
    return float(a), float(b), float("nan"), float("nan"), float(c)


def _fit_svi(x: Floats, w: Floats, scale: Floats) -> tuple[float, float, float, float, float]:
    """Zeliade's quasi-explicit calibration (De Marco and Martini 2009).

    Given shift m and smoothness sigma, the curve is linear in (a, d, c): w = a + d y + c
    sqrt(y² + 1), y = (k - m) / sigma, with |d| <= c and (c + |d|) / sigma below Lee's bound. Shift
    and smoothness are found on a grid that is refined around its best point: no random start.
    """
    span = max(float(np.ptp(x)), 1e-4)
    m_low, m_high = float(x.min()) - 0.5 * span, float(x.max()) + 0.5 * span
    s_low, s_high = np.log(0.02 * span), np.log(4 * span)
    best: tuple[float, float, float, Floats] = (np.inf, 0.0, span, np.zeros(3))
    for _ in range(_REFINEMENTS):
        shifts, smooth = np.meshgrid(np.linspace(m_low, m_high, 17), np.linspace(s_low, s_high, 13))
        m, sigma = shifts.ravel(), np.exp(smooth.ravel())
        loss, linear = _linear_part(x, w, scale, m, sigma)
        i = int(np.argmin(loss))
        if loss[i] < best[0]:
            best = (float(loss[i]), float(m[i]), float(sigma[i]), linear[i])
        m_step, s_step = (m_high - m_low) / 8, (s_high - s_low) / 6
        m_low, m_high = best[1] - m_step, best[1] + m_step
        s_low, s_high = np.log(best[2]) - s_step, np.log(best[2]) + s_step
    _, m_best, sigma_best, (a, d, c) = best
    b = c / sigma_best
    rho = float(np.clip(d / c, -1, 1)) if c > 0 else 0.0
    return float(a), float(b), rho, m_best, sigma_best


def _linear_part(
    x: Floats, w: Floats, scale: Floats, m: Floats, sigma: Floats
) -> tuple[Floats, Floats]:
    """Best allowed (a, d, c) for each pair of shift and smoothness, and its loss."""
    y = (x[None, :] - m[:, None]) / sigma[:, None]
    root = np.sqrt(y**2 + 1)
    ones = np.ones_like(y)
    top = _STEEPEST * sigma / 2
    # The optimum inside, or on an edge: c = d, c = -d, c = 0 (flat).
    free = _solve(np.stack([ones, y, root], axis=2), w, scale)
    up = _solve(np.stack([ones, y + root], axis=2), w, scale)
    down = _solve(np.stack([ones, root - y], axis=2), w, scale)
    flat = _solve(ones[:, :, None], w, scale)
    zero = np.zeros_like(m)
    candidates = [
        free,
        np.column_stack([up[:, 0], *[np.clip(up[:, 1], 0, top)] * 2]),
        np.column_stack([down[:, 0], -np.clip(down[:, 1], 0, top), np.clip(down[:, 1], 0, top)]),
        np.column_stack([flat[:, 0], zero, zero]),
    ]
    losses, stacked = [], np.stack(candidates, axis=1)
    for n, candidate in enumerate(candidates):
        a, d, c = candidate.T
        fitted = a[:, None] + d[:, None] * y + c[:, None] * root
        loss = np.sum(((fitted - w) * scale) ** 2, axis=1)
        lowest = a + np.sqrt(np.maximum(c**2 - d**2, 0))
        allowed = (np.abs(d) <= c * (1 + 1e-9)) & (lowest >= 0)
        if n == 0:
            allowed &= c + np.abs(d) <= _STEEPEST * sigma
        losses.append(np.where(allowed, loss, np.inf))
    chosen = np.argmin(np.stack(losses, axis=1), axis=1)
    rows = np.arange(m.size)
    return np.stack(losses, axis=1)[rows, chosen], stacked[rows, chosen]


def _solve(design: Floats, w: Floats, scale: Floats) -> Floats:
    """Least squares of many designs at once, shape (designs, points, terms)."""
    weighted = design * scale[None, :, None]
    gram = np.einsum("gpi,gpj->gij", weighted, weighted)
    right = np.einsum("gpi,p->gi", weighted, w * scale)
    # A trace of ridge keeps collinear designs solvable; it moves no digit that matters.
    trace = np.trace(gram, axis1=1, axis2=2)[:, None, None]
    return np.linalg.solve(gram + 1e-13 * trace * np.eye(gram.shape[1]), right[:, :, None])[:, :, 0]


def interpolate_in_time(
    years: Sequence[float], values: Sequence[float], at: float, *, variance: bool
) -> float:
    """Value at time `at` between two expiries; NaN outside them.

    Parameters
    ----------
    years
        Ascending, positive.
    values
        Volatilities (with `variance`: total variance is interpolated), or anything linear in time.
    """
    t, v = np.asarray(years, dtype=float), np.asarray(values, dtype=float)
    known = np.isfinite(v)
    t, v = t[known], v[known]
    if t.size == 0 or not t[0] <= at <= t[-1]:
        return float("nan")
    if variance:
        return float(np.sqrt(np.interp(at, t, v**2 * t) / at))
    return float(np.interp(at, t, v))
