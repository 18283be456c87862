"""Walk-forward: windows by hand, purge, nested choice, and leaks that must be caught."""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise
from math import comb

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from btq_assets import WalkForwardOptimizer
from btq_assets.backtest import fitting, folds, samples
from btq_assets.backtest.market import BacktestError
from btq_assets.contracts import evidence
from btq_assets.evidence.trials import trial_id


def monthly(n: int, horizon: int = 1) -> tuple[pl.Series, pl.Series]:
    """Decisions on the first of each month from 2020 on; labels end `horizon` months later."""
    at = [dt.datetime(2020 + m // 12, m % 12 + 1, 1, tzinfo=dt.UTC) for m in range(n + horizon)]
    ends = [at[m + horizon] if m + horizon < n else None for m in range(n)]
    kind = pl.Datetime("us", "UTC")
    return pl.Series(at[:n], dtype=kind), pl.Series(ends, dtype=kind)


def test_rolling_and_anchored_windows_by_hand():
    """Ten months, train 4, test 2, step 2; a label of one month is filled at the next decision."""
    at, ends = monthly(10)
    rolling = folds.windows(at, ends, train_months=4, test_months=2, step_months=2)
    assert [w.train.tolist() for w in rolling] == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert [w.test.tolist() for w in rolling] == [[4, 5], [6, 7], [8, 9]]
    anchored = folds.windows(at, ends, train_months=4, test_months=2, step_months=2, anchored=True)
    assert [w.train.tolist() for w in anchored] == [[*range(4)], [*range(6)], [*range(8)]]


def test_a_label_that_reaches_into_the_test_is_purged():
    """Labels of three months: of four training decisions the last two are not filled yet."""
    at, ends = monthly(10, horizon=3)
    found = folds.windows(at, ends, train_months=4, test_months=2, step_months=2)
    assert [w.train.tolist() for w in found] == [[0, 1], [2, 3], [4, 5]]
    assert [w.n_purged for w in found] == [2, 2, 2]
    assert folds.reach(at, ends) == 2


def test_inner_blocks_are_purged_and_embargoed_by_hand():
    """Six decisions, labels of two months, three blocks, embargo of one.

    Block {2, 3} is judged: 1 and 4 share time with its labels (1 ends at 3, those end at 4 and 5,
    so 4 begins before 5), 5 is embargoed; 0 ends at 2, which is known there.
    """
    at, ends = monthly(12, horizon=2)
    blocks = folds.inner_blocks(np.arange(6), at, ends, 3, 1)
    found = {tuple(judge.tolist()): learn.tolist() for learn, judge in blocks}
    assert found[2, 3] == [0]
    assert found[4, 5] == [0, 1, 2]
    # {0, 1}: labels end at 3; 2 shares time, 3 is embargoed
    assert found[0, 1] == [4, 5]


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ((0, 2, 2), r"train_period_months = 0: a whole number from 1 on"),
        ((4, 2.5, 2), r"test_period_months = 2.5"),
        ((4, 2, 3), "would be tested by no fold"),
        ((24, 2, 2), "less than the 24 months of training"),
    ],
)
def test_impossible_lengths_are_named(lengths, message):
    at, ends = monthly(10)
    train, test, step = lengths
    with pytest.raises(BacktestError, match=message):
        folds.windows(at, ends, train_months=train, test_months=test, step_months=step)


def make_data(n: int = 900, n_symbols: int = 4, seed: int = 0, edge: float = 0.0) -> pl.DataFrame:
    """Weekday closes; with `edge`, `signal` tells part of the return two sessions on."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=(n, n_symbols))
    moves = random.normal(3e-4, 0.01, (n, n_symbols))
    for lag in range(2, 7):  # the five sessions of a label: from the fill at 1 to that at 6
        moves[lag:] += edge * signal[:-lag]
    closes = 100 * np.cumprod(1 + moves, axis=0)
    first = dt.date(2015, 1, 1)
    dates = [first + dt.timedelta(days=i) for i in range(2 * n)]
    dates = [day for day in dates if day.weekday() < 5][:n]
    return pl.concat(
        [
            pl.DataFrame(
                {"date": dates, "symbol": f"S{i}", "close": closes[:, i], "signal": signal[:, i]}
            )
            for i in range(n_symbols)
        ]
    )


class Linear:
    """Slope of the label on the first feature, times `sign`."""

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def fit(self, x, y):
        self.slope = self.sign * float(x[:, 0] @ y / (x[:, 0] @ x[:, 0]))
        return self

    def predict(self, x):
        return self.slope * x[:, 0]


def optimizer(data, **more) -> WalkForwardOptimizer:
    return WalkForwardOptimizer(
        data, train_period_months=12, test_period_months=3, step_months=3, **more
    )


def test_an_edge_is_found_and_the_better_parameters_chosen_inside_the_training():
    found = optimizer(make_data(edge=0.004)).optimize(Linear, {"sign": [-1.0, 1.0]})
    assert {json.loads(p)["sign"] for p in found.folds["parameters"]} == {1.0}
    assert found.folds["inner_score"].min() > 0.2
    assert found.folds["test_score"].mean() > 0.2
    assert found.path.metrics["sharpe"] > 2
    total = (found.folds["net_return"] + 1).product()
    assert total == pytest.approx(found.path.metrics["final_equity"] / 1e6)


def test_each_decision_is_forecast_once_by_the_newest_fold_that_tests_it():
    more = {"train_period_months": 12, "test_period_months": 6, "step_months": 3}
    walker = WalkForwardOptimizer(make_data(), **more)
    found = walker.optimize(Ridge)
    assert not found.forecasts.select("ts", "symbol").is_duplicated().any()
    starts = {w.fold: walker.samples.decided_at[int(w.test[0])] for w in walker.windows}
    for fold, ts in found.forecasts.select("fold", "ts").unique().iter_rows():
        assert starts[fold] <= ts
        assert fold + 1 not in starts or ts < starts[fold + 1]


def test_every_trial_is_recorded_in_the_shape_of_the_ledger():
    """Two sets on each fold, and the path; the recorder is told of each as it happens."""
    told = []
    walker = optimizer(make_data())
    found = walker.optimize(Ridge, {"alpha": [1.0, 10.0]}, recorder=told.append)
    assert found.trials.height == 2 * len(walker.windows) + 1 == len(told)
    now = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    rows, series = told[0].rows(run_id="r", recorded_at=now)
    assert rows.columns == list(evidence.TRIALS.column_names)
    assert rows["trial_id"][0] in found.trials["trial_id"]
    assert series.height == rows["n_returns"][0]
    assert set(found.trials["purpose"]) == {"candidate"}
    one = told[-1]
    assert found.trials["trial_id"][-1] == trial_id(
        strategy="Ridge",
        universe=one.universe,
        config=one.config,
        data_hash=one.data_hash,
        seed=0,
        code_version="notebook",
    )
    again = walker.optimize(Ridge, {"alpha": [1.0, 10.0]})
    assert again.trials.equals(found.trials)  # an identical re-run adds nothing


def test_returns_of_inner_trials_by_hand():
    """One symbol always held: the label of each decision, and 1 % for buying it at the first."""

    class Always(Linear):
        def predict(self, x):
            return np.ones(len(x))

    walker = optimizer(make_data(n_symbols=1), commission=0.01)
    told = []
    walker.optimize(Always, {"sign": [1.0, 2.0]}, recorder=told.append)
    inner = told[0].returns["net_return"].to_numpy()
    labels = walker.samples.y[walker.samples.rows(walker.windows[0].train)]
    assert inner[0] == pytest.approx(labels[0] - 0.01)
    assert inner[1:] == pytest.approx(labels[1:])
    ends = walker.samples.label_end.gather(walker.windows[0].train)
    assert told[0].returns["ts"].to_list() == ends.to_list()


def test_pandas_with_an_index_of_dates_gives_the_same():
    data = make_data(600, n_symbols=1)
    pandas = data.drop("symbol").to_pandas().set_index("date").rename(columns={"close": "Close"})
    plain, indexed = (optimizer(frame).optimize(Ridge) for frame in (data.drop("symbol"), pandas))
    assert indexed.forecasts.equals(plain.forecasts)
    assert indexed.folds.equals(plain.folds)


def test_daily_decisions_purge_every_label_that_is_not_filled():
    walker = optimizer(make_data(400), decide="day", horizon_sessions=5)
    # a label ends six sessions on: the five decisions before the first tested one cannot train
    assert walker.embargo == 5
    assert {window.n_purged for window in walker.windows} == {5}


def test_a_model_never_sees_a_label_of_the_test_nor_a_later_row():
    data = make_data()
    walker = optimizer(data)
    seen = []

    class Spy(Linear):
        def fit(self, x, y):
            seen.append(("fit", y.copy()))
            return super().fit(x, y)

        def predict(self, x):
            seen.append(("predict", x.copy()))
            return super().predict(x)

    walker.optimize(Spy)
    fits = [rows for kind, rows in seen if kind == "fit"]
    for window, labels in zip(walker.windows, fits, strict=True):
        first = walker.samples.decided_at[int(window.test[0])]
        ends = walker.samples.label_end.gather(window.train)
        assert ends.max() <= first
        assert labels.size == 4 * window.train.size
        assert set(labels).isdisjoint(walker.samples.y[walker.samples.rows(window.test)])
    assert {rows.shape for kind, rows in seen if kind == "predict"} == {(4, 1)}


def test_cutting_the_data_moves_no_earlier_forecast_choice_or_return():
    data = make_data(edge=0.001)
    sets = {"sign": [-1.0, 1.0]}
    whole = optimizer(data).optimize(Linear, sets)
    for cut in (dt.date(2016, 8, 17), dt.date(2017, 6, 30)):
        part = optimizer(data.filter(pl.col("date") <= cut)).optimize(Linear, sets)
        until = part.forecasts["ts"].max()
        assert part.forecasts.equals(whole.forecasts.filter(pl.col("ts") <= until))
        same = whole.folds.head(part.folds.height)
        assert part.folds["parameters"].equals(same["parameters"])
        equity = part.path.equity.select("ts", "equity")
        both = equity.join(whole.path.equity.select("ts", other="equity"), on="ts")
        assert both.height == equity.height
        assert np.allclose(both["equity"], both["other"], rtol=1e-12)


def test_the_choice_does_not_see_the_test():
    """Labels of the test destroyed: parameters chosen and inner scores stay what they were."""
    data = make_data(edge=0.001)
    walker = optimizer(data)
    plain = walker.optimize(Linear, {"sign": [-1.0, 1.0]}).folds
    last = walker.windows[-1]
    first = walker.samples.decided_at[int(last.test[0])].date()
    moved = pl.col("close") * pl.when(pl.col("date") > first).then(7.0).otherwise(1.0)
    noise = pl.when(pl.col("date") > first).then(-pl.col("signal")).otherwise("signal")
    again = optimizer(data.with_columns(moved, signal=noise))
    changed = again.optimize(Linear, {"sign": [-1.0, 1.0]}).folds
    assert changed["inner_score"].equals(plain["inner_score"])
    assert changed["parameters"].equals(plain["parameters"])
    assert changed["test_score"][-1] != plain["test_score"][-1]


def test_a_feature_that_is_the_label_in_disguise_is_caught():
    data = make_data().sort("symbol", "date")
    peek = (pl.col("close").shift(-6) / pl.col("close").shift(-1)).over("symbol")
    with pytest.raises(samples.LeakError, match=r"'peek' has a rank correlation of \+1.000"):
        optimizer(data.with_columns(peek=-(1 / peek)))


def features_of(expression):
    def compute(bars):
        rows = bars.sort("symbol", "ts")
        return rows.select("symbol", "ts", made=expression)

    return compute


CLOSE = pl.col("adj_close")


@pytest.mark.parametrize(
    "leak",
    [
        CLOSE / CLOSE.mean().over("symbol"),  # scaled by the whole sample
        CLOSE / CLOSE.rolling_mean(11, center=True).over("symbol"),  # centred window
        CLOSE.shift(-1).over("symbol") / CLOSE + CLOSE.pct_change(5).over("symbol"),  # next close
    ],
)
def test_features_from_the_future_are_caught(leak):
    with pytest.raises(samples.LeakError, match="it reads what comes later"):
        optimizer(make_data(), features=features_of(leak))
    clean = CLOSE / CLOSE.rolling_mean(11).over("symbol")
    assert optimizer(make_data(), features=features_of(clean)).samples.features == ("made",)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w.optimize(Linear, {"sign": []}), "no set of parameters"),
        (lambda w: w.optimize(Linear, {"sign": 1.0}), "a list of values is needed"),
        (
            lambda w: w.optimize(type("Short", (Linear,), {"predict": lambda s, x: [1.0]})),
            r"Short at .*: 1 forecast\(s\) for 4 symbol",
        ),
        (lambda w: w.cross_validate(Linear, n_folds=2), "n_folds = 2, n_test_folds = 2"),
        (lambda w: w.cross_validate(Linear, n_folds=60), "must be smaller than the size"),
    ],
)
def test_bad_requests_are_named(call, message):
    with pytest.raises(BacktestError, match=message):
        call(optimizer(make_data()))


def test_default_positions_and_score_by_hand():
    assert fitting.long_positive(np.array([0.1, -0.2, 0.0, 0.3])).tolist() == [0.5, 0, 0, 0.5]
    assert fitting.long_positive(np.array([-1.0])).tolist() == [0.0]
    decision = np.array([0, 0, 0, 1, 1, 1])
    label = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    forecast = np.array([1.0, 2.0, 3.0, 3.0, 2.0, 1.0])  # +1 and -1
    assert fitting.rank_score(decision, forecast, label) == pytest.approx(0.0)
    # ranks 1 3 2 against 1 2 3: 1 - 6 * (0 + 1 + 1) / (3 * 8)
    assert fitting.rank_score(decision[:3], np.array([1, 3, 2.0]), label[:3]) == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "k"), [(5, 2), (6, 2), (6, 3)])
def test_combinatorial_paths_are_counted_whole_and_purged(n, k):
    walker = optimizer(make_data(500))
    found = walker.cross_validate(Linear, n_folds=n, n_test_folds=k)
    assert found.n_splits == comb(n, k)
    assert found.n_paths == comb(n, k) * k // n == found.figures.height == found.trials.height
    decisions = found.forecasts["ts"].unique()
    for _, path in found.forecasts.group_by("path"):
        assert path.height == 4 * decisions.len()  # every decision once
        assert not path.select("ts", "symbol").is_duplicated().any()
    # each split's blocks go to different paths, each path's blocks come from k or more splits
    assert found.forecasts.group_by("split", "ts", "symbol").len()["len"].max() == 1


def test_no_label_of_combinatorial_training_shares_time_with_one_judged(monkeypatch):
    walker = optimizer(make_data(500), horizon_sessions=13)
    calls = []
    from btq_assets.backtest import cross_validation

    def spy(data, model_class, chosen, train, test):
        calls.append((train, test))
        return fitting.forecast(data, model_class, chosen, train, test)

    monkeypatch.setattr(cross_validation, "forecast", spy)
    found = walker.cross_validate(Linear, n_folds=5, n_test_folds=2)
    assert (found.purge, found.embargo) == (2, 2)
    starts = walker.samples.decided_at.to_list()
    ends = walker.samples.label_end.to_list()
    for train, test in calls:
        assert not set(train) & set(test)
        blocks = np.split(test, np.flatnonzero(np.diff(test) > 1) + 1)
        for block in blocks:
            until = max(ends[i] for i in block)
            for i in train:
                assert ends[i] <= starts[block[0]] or starts[i] >= until
            after = [i for i in range(len(starts)) if i > block[-1] and starts[i] >= until]
            assert not set(after[: found.embargo]) & set(train)


def test_paths_differ_where_the_model_does():
    walker = optimizer(make_data(500))
    found = walker.cross_validate(Ridge, {"alpha": 1.0})
    assert found.figures["sharpe"].n_unique() > 1
    assert all(a.equity["ts"].equals(b.equity["ts"]) for a, b in pairwise(found.paths))
