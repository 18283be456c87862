"""A list of operations run bar after bar gives what the interpreter gives over whole windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import polars_talib as talib
import pytest

from btq_assets.features.bar_operations import CODES, added
from btq_assets.features.bar_program import Program
from btq_assets.features.latest import Latest, NotEvaluatedError, parse
from btq_assets.features.latest_values import BINARY, PLAIN, ROLLING, WHOLE
from btq_assets.features.live import LivePanel
from btq_assets.features.newest import Formulas

N_BARS, N_SYMBOLS = 80, 3

X, P = pl.col("_x"), pl.col("_p")
EXPRESSIONS = {
    "windows": X.rolling_mean(9) + X.rolling_sum(7, min_samples=3) * X.rolling_max(5) - X.rolling_min(4, min_samples=1),
    "spreads": X.rolling_std(11, min_samples=4) / X.rolling_var(6, ddof=0, min_samples=2),
    "windows of windows": X.rolling_mean(10, min_samples=3).shift(2).rolling_std(5, min_samples=2),
    "long windows": P.rolling_mean(70) - P.rolling_std(66),
    "logic": pl.when((X > 0) & (X.shift(1) >= 0.1) | X.shift(2).is_null()).then(1.0).otherwise(X.abs().fill_null(0.5)),
    "comparisons": (X < 0.3).cast(pl.Float64) + (X.shift(1) >= X) - (X.shift(1) == X) + (X != 0) + ~(X > 0),
    "missing": X.is_not_null().cast(pl.Float64) + X.is_finite() + X.is_nan().fill_null(False) - X.is_not_nan(),
    "extremes": pl.max_horizontal(X, X.shift(3), P).clip(-0.1, 1.2) - pl.min_horizontal(X, P) + pl.sum_horizontal(X, P),
    "powers": P.log(10).exp().pow(3).sqrt() + X.pow(2) - X.sign() * (-X) + pl.arctan2(X, P) + P.log(),
    "division by numbers": X / 3 + 2 / P,
    "exponential mean": X.ewm_mean(alpha=0.1, adjust=True, min_samples=9) + P.ewm_mean(alpha=0.3, adjust=True),
    "strength": talib.rsi(P, 5) + talib.rsi(P, 14).rolling_mean(3),
    "convergence": talib.macd(P, 5, 9, 4).struct.field("macdhist"),
    "regression line": talib.linearreg(P, 12),
}  # fmt: skip


@dataclass(frozen=True)
class _Named:
    name: str = "made up"


def formulas_of(expression: pl.Expr) -> Formulas:
    return Formulas(_Named(), ("x",), (parse(expression),), {}, ("_p",))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    """Prices without holes and a column with some, of histories of three lengths."""
    random = np.random.default_rng(8)
    p = np.exp(np.cumsum(random.normal(0, 0.02, (N_SYMBOLS, 200)), axis=1))
    x = np.where(random.random(p.shape) < 0.1, np.nan, np.round(random.normal(size=p.shape), 1))
    for symbol, begins in enumerate((0, 100, 118)):
        p[symbol, :begins] = x[symbol, :begins] = np.nan
    return {"_p": p, "_x": x}


def windows(
    columns: dict[str, np.ndarray], end: int, n_bars: int = N_BARS
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    longer = {
        name: np.pad(v, ((0, 0), (n_bars, 0)), constant_values=np.nan)
        for name, v in columns.items()
    }
    cut = {name: values[:, end : end + n_bars] for name, values in longer.items()}
    return cut, np.isfinite(cut["_p"]).sum(axis=1)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_bar_after_bar_equals_the_interpreter_over_the_window(name, columns) -> None:
    """Peer: `latest`, which is held against polars by its own tests."""
    formulas = formulas_of(EXPRESSIONS[name])
    # averages that fade remember all there was: their windows are whole histories
    fades = name in ("exponential mean", "strength", "convergence")
    n_bars = 200 if fades else N_BARS
    program = Program(formulas, *windows(columns, 120, n_bars))
    found, expected = [], []
    for end in range(121, 200):
        cut, ages = windows(columns, end, n_bars)
        fresh = np.stack([values[:, end - 1] for values in columns.values()])
        found.append(program.step(fresh, np.arange(N_SYMBOLS), ages)["x"])
        value = Latest(cut, {}, ages).of(formulas.nodes[0])[:, 0]
        expected.append(np.where(np.isfinite(value) & np.isfinite(cut["_p"][:, -1]), value, np.nan))
    assert np.isfinite(expected).sum() > 60
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_a_running_sum_goes_on_beyond_the_window_and_over_holes(columns) -> None:
    """By hand: the sum of what the window held and of everything since."""
    program = Program(formulas_of(X.cum_sum()), *windows(columns, 120))
    for end in range(121, 200):
        fresh = np.stack([values[:, end - 1] for values in columns.values()])
        found = program.step(fresh, np.arange(N_SYMBOLS), windows(columns, end)[1])["x"]
        since = np.nansum(columns["_x"][:, 120 - N_BARS + 1 : end], axis=1)
        wanted = np.where(np.isnan(columns["_x"][:, end - 1]), np.nan, since)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-11)


def test_symbols_without_a_bar_stay_as_they_were(columns) -> None:
    """Each symbol on its own days, or all together: the same values."""
    formulas = formulas_of(EXPRESSIONS["windows of windows"])
    together = Program(formulas, *windows(columns, 120))
    apart = Program(formulas, *windows(columns, 120))
    for end in range(121, 160):
        fresh = np.stack([values[:, end - 1] for values in columns.values()])
        ages = windows(columns, end)[1]
        whole = together.step(fresh, np.arange(N_SYMBOLS), ages)["x"]
        parts = [
            apart.step(fresh[:, [symbol]], np.array([symbol]), ages)["x"][0] for symbol in (2, 0, 1)
        ]
        np.testing.assert_array_equal(whole[[2, 0, 1]], parts)


def test_every_operation_of_the_interpreter_is_compiled() -> None:
    pairwise = {"MaxHorizontal", "MinHorizontal"}
    assert {*BINARY, *PLAIN, *ROLLING, *WHOLE, "where", "Shift"} - pairwise <= set(CODES)


@pytest.mark.parametrize("n", [1, 7, 8, 9, 63, 127, 128, 129, 252, 500, 1000, 1537])
def test_sums_add_in_the_order_of_numpy(n) -> None:
    """Peer: numpy, to the last bit; a constant price has the mean it has in a batch."""
    values = np.random.default_rng(n).normal(size=n) * 10.0 ** np.arange(n % 7, n % 7 + n)[0]
    assert added(values) == values.sum()
    assert added(np.full(n, 0.1)) == np.full(n, 0.1).sum()


def test_what_a_program_cannot_do_says_so(columns) -> None:
    with pytest.raises(NotEvaluatedError, match="future"):
        Program(formulas_of(P.shift(-1)), *windows(columns, 120))
    with pytest.raises(NotEvaluatedError, match="column _none"):
        Program(formulas_of(pl.col("_none") + 1), *windows(columns, 120))


def test_only_features_asked_for_are_computed(world, small_config) -> None:
    bars = world["bars"].filter(universe="us20")
    newest = bars["ts"].max()
    past, new = bars.filter(pl.col("ts") < newest), bars.filter(pl.col("ts") == newest)
    wanted = ("return_1d", "volatility_21_annual")
    families = ("technical", "volatility")
    some = LivePanel(past, families, small_config, features=wanted)
    whole = LivePanel(past, families, small_config).update(new)
    assert some.update(new).equals(whole.select("universe", "symbol", "ts", *wanted))
    again = LivePanel(past, families, small_config, features=wanted)
    symbols, columns = again.values(new)
    assert symbols == whole["symbol"].to_list()
    assert set(columns) == set(wanted)
    for name in wanted:
        np.testing.assert_array_equal(columns[name], whole[name].fill_null(np.nan))
