"""Rolling kernels against pandas, closed forms, and themselves cut or split differently."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btq_assets.features.kernels import moments, order, pairs, quantiles, rolling
from btq_assets.features.kernels.rolling import Options

WINDOWS = (1, 2, 5, 21)


def _walks(n_symbols: int = 3, n_sessions: int = 700, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 30 * np.exp(np.cumsum(random.normal(0, 0.02, (n_symbols, n_sessions)), axis=1))


def _matrices() -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    walks = _walks()
    tied = np.round(walks)
    holed = tied.copy()
    holed[random.random(walks.shape) < 0.05] = np.nan
    holed[1, 100:160] = np.nan
    return {"walks": walks, "tied": tied, "holed": holed}


MATRICES = _matrices()
OTHER = _walks(seed=2)

#: Our kernel, and the same from a pandas window (pandas 2 and 3).
PEERS = {
    "mean": (rolling.mean, lambda w, y: w.mean()),
    "sum": (rolling.total, lambda w, y: w.sum()),
    "std": (rolling.std, lambda w, y: w.std()),
    "std_0": (
        lambda x, n, o: rolling.std(x, n, o, ddof=0),
        lambda w, y: w.std(ddof=0),
    ),
    "max": (rolling.maximum, lambda w, y: w.max()),
    "min": (rolling.minimum, lambda w, y: w.min()),
    "argmax": (rolling.argmax, lambda w, y: w.apply(lambda v: v.argmax() + 1, raw=True)),
    "argmin": (rolling.argmin, lambda w, y: w.apply(lambda v: v.argmin() + 1, raw=True)),
    "rank": (rolling.rank, lambda w, y: w.rank(pct=True)),
    "quantile": (lambda x, n, o: rolling.quantile(x, n, 0.8, o), lambda w, y: w.quantile(0.8)),
    "covariance": (lambda x, n, o: rolling.covariance(x, OTHER, n, o), lambda w, y: w.cov(y)),
}  # fmt: skip


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", PEERS)
def test_windows_are_those_of_pandas(name, matrix):
    mine, theirs = PEERS[name]
    x = MATRICES[matrix]
    for n in WINDOWS:
        for full in (True, False):
            found = mine(x, n, Options(full=full))
            for row, values in enumerate(x):
                window = pd.Series(values).rolling(n, min_periods=n if full else 1)
                expected = theirs(window, pd.Series(OTHER[row])).to_numpy(float)
                # pandas updates its sums from window to window; 1e-6 is how far its deviation of
                # a window that does not move is from zero.
                np.testing.assert_allclose(found[row], expected, rtol=1e-8, atol=2e-6)


@pytest.mark.parametrize("matrix", MATRICES)
def test_correlation_is_that_of_numpy(matrix):
    x, n = MATRICES[matrix], 21
    found = rolling.correlation(x, OTHER, n, Options(full=False))
    for row in range(len(x)):
        for t in range(5, x.shape[1], 37):
            u, v = x[row, max(0, t - n + 1) : t + 1], OTHER[row, max(0, t - n + 1) : t + 1]
            kept = ~np.isnan(u)
            if kept.sum() > 1 and np.ptp(u[kept]) > 0:
                expected = np.corrcoef(u[kept], v[kept])[0, 1]
                assert found[row, t] == pytest.approx(expected, abs=1e-9)
            else:
                assert np.isnan(found[row, t])


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.77, 1.0])
def test_quantiles_are_those_of_numpy_by_plan_and_by_exchange(share):
    x = np.round(_walks(1, 300, seed=3), 1)  # with ties
    for n in (*range(1, 33), 60, quantiles.PLANNED, quantiles.PLANNED + 1, 100):
        windows = np.lib.stride_tricks.sliding_window_view(x[0], n)
        found = rolling.quantile(x, n, share)[0, n - 1 :]
        np.testing.assert_allclose(found, np.quantile(windows, share, axis=1), rtol=1e-14)


def _together(x, y, starts, windows, full):
    """Every kernel over several windows at once, ``(kernels, windows, rows)``."""
    out = np.full((12, windows.size, x.size), np.nan)
    none = np.empty((0, 0))
    moments.sums(x, starts, windows, full, True, 0, out[0])
    moments.line(x, starts, windows, full, 1, rolling.NONE, 0.0, 0.0, 0, *out[1:6])
    pairs.pair(x, y, starts, windows, full, 1, 0.0, 0.0, 0, out[6], out[7])
    order.extreme(x, starts, windows, full, 1.0, 0, out[8], out[9])
    order.extreme(x, starts, windows, full, -1.0, 0, out[10], none)
    order.rank(x, starts, windows, full, 0, out[11])
    return out


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("full", [True, False])
def test_several_windows_at_once_are_each_alone(full, holes):
    # Longer than one stretch of rows, with windows on different ways of doubling.
    x, y = _walks(2, 5_000).reshape(-1), _walks(2, 5_000, seed=5).reshape(-1)
    if holes:
        x[[0, 7, 2_047, 2_048, 2_300, 4_999, 5_000, 9_999]] = np.nan
    starts, windows = np.array([0, 5_000, 10_000]), np.array([1, 5, 10, 21, 60, 250])
    found = _together(x, y, starts, windows, full)
    for w, n in enumerate(windows):
        alone = _together(x, y, starts, np.array([n]), full)
        np.testing.assert_array_equal(found[:, w], alone[:, 0], err_msg=str(n))


@pytest.mark.parametrize("full", [True, False])
def test_steps_taken_at_once_change_no_bit(full):
    # Among all windows from 1 on every step is one of their own; a window alone takes the first
    # steps at once, and every doubling with the value after it. Zeros of both signs, values that
    # are infinite or missing, and walks.
    x, y = _walks(2, 400).reshape(-1), _walks(2, 400, seed=5).reshape(-1)
    x[50:70:3], x[51:70:3], y[55:75:2] = 0.0, -0.0, -0.0
    x[[150, 500]], y[[180, 500]], x[[250, 600]] = np.inf, -np.inf, np.nan
    starts, windows = np.array([0, 3, 400, 800]), np.arange(1, 65)
    found = _together(x, y, starts, windows, full)
    for w, n in enumerate(windows):
        alone = _together(x, y, starts, np.array([n]), full)
        for one, other in zip(found[:, w], alone[:, 0], strict=True):
            assert np.array_equal(one, other, equal_nan=True), n
            seen = ~np.isnan(one)
            assert np.array_equal(np.signbit(one[seen]), np.signbit(other[seen])), n
        only = np.full((2, 1, x.size), np.nan)
        none = np.empty((0, 0))
        pairs.pair(x, y, starts, np.array([n]), full, 1, 0.0, 0.0, 0, only[0], none)
        moments.line(
            x, starts, np.array([n]), full, 1, rolling.NONE, 0.0, 0.0, 0,
            none, only[1], none, none, none,
        )  # fmt: skip
        np.testing.assert_array_equal(only[0, 0], found[6, w])
        np.testing.assert_array_equal(only[1, 0], found[2, w])


@pytest.mark.parametrize("n", [2, 5, 60])
def test_the_line_is_that_of_polyfit(n):
    x = _walks(1, 200)
    slope, share, rest = (
        kernel(x, n)[0] for kernel in (rolling.slope, rolling.rsquare, rolling.residual)
    )
    for t in range(n - 1, 200, 13):
        window = x[0, t - n + 1 : t + 1]
        b, a = np.polyfit(np.arange(n), window, 1)
        fitted = a + b * np.arange(n)
        assert slope[t] == pytest.approx(b, rel=1e-7, abs=1e-9)
        assert rest[t] == pytest.approx(window[-1] - fitted[-1], abs=1e-8)
        expected = 1 - np.sum((window - fitted) ** 2) / np.sum((window - window.mean()) ** 2)
        assert share[t] == pytest.approx(expected, abs=1e-8)
    assert np.isnan(slope[: n - 1]).all()


def test_a_straight_line_is_found_through_holes():
    # Closed form: x = 3 + 2 t has slope 2 and residual 0 whichever values are missing.
    x = 3 + 2 * np.arange(50.0)[None, :]
    x[0, [7, 8, 30]] = np.nan
    compatible = Options(full=False)
    slope, rest = rolling.slope(x, 10, compatible)[0], rolling.residual(x, 10, compatible)[0]
    assert np.isnan(slope[0])
    np.testing.assert_allclose(slope[1:], 2, atol=1e-12)
    np.testing.assert_allclose(rest[1:][~np.isnan(x[0, 1:])], 0, atol=1e-11)
    assert np.isnan(rest[[7, 8, 30]]).all()


def test_weighted_sums_delays_and_moves():
    x = _walks(2, 80)
    weights = np.arange(1.0, 8.0)
    expected = [np.convolve(row, weights[::-1], "valid") for row in x]
    np.testing.assert_allclose(rolling.weighted_sum(x, weights)[:, 6:], expected, rtol=1e-12)
    np.testing.assert_array_equal(rolling.delay(x, 3)[:, 3:], x[:, :-3])
    np.testing.assert_array_equal(rolling.delta(x, 3)[:, 3:], x[:, 3:] - x[:, :-3])
    assert np.isnan(rolling.delay(x, 100)).all()
    rises = np.diff(x, axis=1) > 0
    counted = rolling.up_moves(x, 10)
    assert counted[1, 40] == rises[1, 30:40].sum()
    assert np.isnan(counted[:, :10]).all()


KERNELS = {
    **{name: mine for name, (mine, _) in PEERS.items() if name != "covariance"},
    "slope": rolling.slope,
    "rsquare": rolling.rsquare,
    "residual": rolling.residual,
    "correlation": lambda x, n, o: rolling.correlation(x, np.sin(x), n, o),
}


@settings(max_examples=15, deadline=None)
@given(
    cut=st.integers(0, 580),
    n=st.integers(2, 90),
    full=st.booleans(),
    threads=st.integers(1, 3),
    matrix=st.sampled_from(sorted(MATRICES)),
)
def test_a_window_knows_only_its_own_values(cut, n, full, threads, matrix):
    # Bit for bit the same from a history that begins later, ends earlier, and on other threads.
    x = MATRICES[matrix]
    part = x[:, cut : cut + n + 20]
    for name, kernel in KERNELS.items():
        whole = kernel(x, n, Options(full=full, threads=threads))[:, cut + n - 1 : cut + n + 20]
        again = kernel(part, n, Options(full=full, threads=1))[:, n - 1 :]
        np.testing.assert_array_equal(again, whole, err_msg=name)


def test_many_threads_give_the_same_bits():
    x = _walks(64, 1_000)
    for name, kernel in KERNELS.items():
        one, four = (kernel(x, 20, Options(threads=threads)) for threads in (1, 4))
        np.testing.assert_array_equal(one, four, err_msg=name)


def test_single_precision_in_and_out():
    x = _walks(2, 300).astype(np.float32)
    for name in ("std", "max", "rank"):
        kernel = KERNELS[name]
        found = kernel(x, 20, Options(dtype=np.float32))
        assert found.dtype == np.float32
        exact = kernel(x.astype(np.float64), 20, Options())
        np.testing.assert_array_equal(found, exact.astype(np.float32), err_msg=name)


def test_far_from_zero_nothing_is_lost():
    # Closed form: the deviation of 1e9 + {0, 1, 0, 1, ...} over an even window is 0.5, and the
    # deviation after a price of 1e12 has left the window is what it was before.
    x = 1e9 + (np.arange(100.0) % 2)[None, :]
    x[0, 40] = 1e12
    found = rolling.std(x, 10, ddof=0)[0]
    clean = np.r_[9:40, 50:100]
    np.testing.assert_allclose(found[clean], 0.5, rtol=1e-12)


def test_a_window_that_does_not_fit_gives_nothing():
    x = np.ones((2, 5))
    assert np.isnan(rolling.mean(x, 6)).all()
    assert rolling.mean(np.ones((0, 5)), 3).shape == (0, 5)
    assert rolling.mean(np.ones((2, 0)), 3).shape == (2, 0)


def test_impossible_arguments_are_named():
    x = np.ones((2, 5))
    with pytest.raises(ValueError, match="window of 0"):
        rolling.mean(x, 0)
    with pytest.raises(ValueError, match="one shape"):
        rolling.covariance(x, np.ones((2, 4)), 3)
    with pytest.raises(ValueError, match=r"quantile 1\.5"):
        rolling.quantile(x, 3, 1.5)
    with pytest.raises(ValueError, match="read the future"):
        rolling.delay(x, -1)
