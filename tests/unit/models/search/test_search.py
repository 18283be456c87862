"""Search on tiny markets: what it may see, what it counts, and going on after a kill."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import math
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

optuna = pytest.importorskip("optuna")


from btq_assets.api.model_trainer import ModelTrainer  # noqa: E402
from btq_assets.backtest import recording  # noqa: E402
from btq_assets.config import TradingConfig  # noqa: E402
from btq_assets.contracts import evidence  # noqa: E402
from btq_assets.contracts.base import violations  # noqa: E402
from btq_assets.evidence.trials import count_trials  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.models.search.nested import nested_folds  # noqa: E402
from btq_assets.models.search.notebook import question_of  # noqa: E402
from btq_assets.models.search.space import (  # noqa: E402
    TRANSFORMER_SPACE,
    Choice,
    Integers,
    Reals,
    suggest,
)
from btq_assets.models.search.storage import open_storage, without_secrets  # noqa: E402
from btq_assets.models.search.study import Search  # noqa: E402

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SMALL = {
    "transformer_dim": Integers(8, 16, 8),
    "num_heads": Integers(1, 2),
    "learning_rate": Reals(1e-4, 1e-2, log=True),
}


@pytest.fixture(scope="module", autouse=True)
def quiet():
    import torch

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="module")
def config() -> TradingConfig:
    network = {"model_dim": 8, "num_heads": 1, "lookback_sessions": 3, "epochs": 2}
    return TradingConfig(
        features={"correlation_window_sessions": 40},
        models={"transformer": network, "horizon_sessions": 2},
        trading={"device": "cpu"},
    )


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    """4 assets, 100 sessions; the signal moves the return after the fill."""
    random = np.random.default_rng(0)
    signal = random.normal(size=(100, 4))
    returns = 0.01 * random.normal(size=signal.shape)
    returns[2:] += 0.01 * signal[:-2]
    close = 100 * np.cumprod(1 + returns, axis=0)
    ts = [dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(100)]
    return pl.DataFrame(
        {
            "symbol": [f"S{j}" for _ in ts for j in range(4)],
            "ts": [t for t in ts for _ in range(4)],
            "close": close.ravel(),
            "signal": signal.ravel(),
            "noise": random.normal(size=400),
        }
    )


@pytest.fixture
def session(monkeypatch):
    fresh = recording.MemoryLedger()
    monkeypatch.setattr(recording, "SESSION", fresh)
    return fresh


def test_the_space_is_the_stated_one() -> None:
    asked = []

    class Trial:
        def suggest_int(self, name, low, high, step=1):
            asked.append((name, low, high, step))
            return low

        def suggest_float(self, name, low, high, log=False):
            asked.append((name, low, high, log))
            return low

    suggest(Trial(), TRANSFORMER_SPACE)
    assert asked == [
        ("transformer_dim", 128, 512, 64),
        ("num_heads", 4, 16, 4),
        ("learning_rate", 1e-5, 1e-2, True),
    ]
    for wrong in (lambda: Integers(1, 4, 2), lambda: Reals(0.0, 1.0, log=True), lambda: Choice(())):
        with pytest.raises(ModelError):
            wrong()


def test_nested_folds_are_purged_and_nothing_that_judges_stopped_the_training(config, data) -> None:
    question = question_of(config, data, ["signal"], n_folds=3)
    known = question.known.drop_nulls("label")
    for fold in question.folds:
        ends = known.group_by("ts").agg(pl.col("label_end_ts").max())
        for segment, following in (("train", "validation"), ("validation", "test")):
            inside = ends.filter(
                pl.col("ts").is_between(fold[f"{segment}_start"], fold[f"{segment}_end"])
            )
            assert inside["label_end_ts"].max() <= fold[f"{following}_start"]
    blocks = [(fold["test_start"], fold["test_end"]) for fold in question.folds]
    assert all(one[1] < other[0] for one, other in itertools.pairwise(blocks))
    # 97 labelled dates in 6 blocks: the judged ones are the last three.
    assert blocks[0][0] == known["ts"].unique().sort()[97 * 3 // 6]
    # Only marked decisions are trained on and judged.
    marked = data.with_columns(is_decision=pl.col("ts").dt.day() % 2 == 0)
    fold = question_of(config, marked, ["signal"], n_folds=1).folds[0]
    assert all(fold[name].day % 2 == 0 for name in ("train_start", "test_start", "test_end"))
    with pytest.raises(ModelError, match="too few"):
        nested_folds(question.known, 15)
    with pytest.raises(ModelError, match="at least one"):
        nested_folds(question.known, 0)


def test_the_test_segment_is_never_read(config, data) -> None:
    """A leak test: features from the test segment on, and prices after its start, are noise.

    The close at which the test starts is known at its first decision: labels may end there.
    """
    start = data["ts"].unique().sort()[80]
    random = np.random.default_rng(9)
    noise = pl.Series(random.lognormal(size=400))
    changed = data.with_columns(
        close=pl.when(pl.col("ts") > start).then(noise).otherwise("close"),
        signal=pl.when(pl.col("ts") >= start).then(noise).otherwise("signal"),
    )
    found = [
        question_of(config, frame, ["signal"], test_start=start, n_folds=1)
        for frame in (data, changed)
    ]
    assert found[0].known.equals(found[1].known)
    assert found[0].known["ts"].max() < start
    # The label at i is filled at i + 1 and i + 3: only those known when the test starts are left.
    filled = found[0].known.filter(pl.col("label").is_not_null())
    assert filled["label_end_ts"].max() == start
    one, other = (Search(q, space=SMALL).run(2) for q in found)
    assert one.table.equals(other.table)


def test_every_trial_is_counted_however_it_ends(config, data, session, monkeypatch) -> None:
    """One that is pruned and one that diverges count as the complete ones do."""
    from btq_assets.models.search.candidates import Question

    judge, seen = Question.judge, []

    def forced(self, parameters, go_on=None):
        seen.append(dict(parameters))
        if len(seen) == 2:
            return judge(self, parameters, lambda step, loss: step < 2)
        if len(seen) == 3:
            parameters = {**parameters, "learning_rate": 1e30}
        return judge(self, parameters, go_on)

    monkeypatch.setattr(Question, "judge", forced)
    told = []
    found = ModelTrainer(config).search(
        data, ["signal", "noise"], 4, space=SMALL, epochs=3, recorder=told.append
    )
    outcomes = [record.outcome for record in found.records]
    assert outcomes[1] == "pruned"
    assert outcomes[2] == "failed"
    assert "complete" in outcomes
    assert found.table["detail"][2].startswith("TrainingDivergedError")
    assert found.n_trials == len(told) == session.trials().height == 4
    # All answer the same question, so deflation counts all of them.
    trials = session.trials()
    assert trials["question"].n_unique() == 1
    assert count_trials(trials, trials["question"][0]) == 4
    rows, series = found.records[1].rows(run_id="r", recorded_at=NOW)
    assert violations(rows, evidence.TRIALS).is_empty()
    assert violations(series, evidence.TRIAL_RETURNS).is_empty()
    assert found.records[2].returns["net_return"].unique().to_list() == [0.0]
    assert [record.parameters for record in found.records] == seen
    assert found.parameters in seen
    assert found.rank_ic == found.table["rank_ic"].max()
    assert TradingConfig(**found.parameters).models.transformer.learning_rate == pytest.approx(
        found.parameters["learning_rate"]
    )


def test_the_score_is_the_rank_ic_of_judged_blocks(config, data) -> None:
    """Against scipy's rank correlation of a fit by hand on the same segments."""
    from scipy.stats import spearmanr

    from btq_assets.models.folds import for_fold
    from btq_assets.models.forecaster import FORECAST_COLUMNS

    question = question_of(config, data, ["signal"], n_folds=1)
    judged = question.judge({"transformer_dim": 8, "num_heads": 2, "learning_rate": 1e-2})
    spec = replace(question.spec, model_dim=8, num_heads=2, learning_rate=1e-2)
    fold = question.folds[0]
    model = question.forecaster(spec).fit(
        for_fold(question.known, fold, market=False, asset_features=["signal"])
    )
    inside = pl.col("ts").is_between(fold["test_start"], fold["test_end"])
    found = model.predict(question.known).select(FORECAST_COLUMNS).filter(inside)
    joined = found.join(question.known, on=["universe", "symbol", "ts"]).drop_nulls("label")
    ics = [
        spearmanr(rows["forecast"], rows["label"]).statistic for _, rows in joined.group_by("ts")
    ]
    assert judged.rank_ic == pytest.approx(np.mean(ics), abs=1e-6)
    assert judged.returns.height == len(ics)


@pytest.fixture(scope="module")
def whole(config, data):
    """Seven trials without an interruption."""
    question = question_of(config, data, ["signal"], n_folds=1, epochs=1)
    return Search(question, space=SMALL, seed=3).run(7)


@pytest.mark.parametrize("ending", ["journal", "db"])
def test_a_search_goes_on_as_if_it_had_never_been_interrupted(
    config, data, tmp_path, ending, whole
) -> None:
    question = question_of(config, data, ["signal"], n_folds=1, epochs=1)
    # No two proposals are alike, and another seed proposes others.
    rates = whole.table["learning_rate"].to_list()
    assert len(set(rates)) == 7
    other = Search(question, space=SMALL, seed=4).run(1)
    assert other.table["learning_rate"][0] not in rates
    file = tmp_path / f"search.{ending}"
    Search(question, space=SMALL, seed=3, storage=file).run(3)
    told = []
    again = Search(question, space=SMALL, seed=3, storage=file, recorder=told.append)
    assert len(told) == 3
    found = again.run(7)
    assert found.table.drop("number").equals(whole.table.drop("number"))
    assert found.parameters == whole.parameters
    for one, other in zip(found.records, whole.records, strict=True):
        assert one.returns.equals(other.returns)
    assert len(told) == 7
    # Asked for no more trials than there are, it makes none.
    assert Search(question, space=SMALL, seed=3, storage=file).run(7).n_trials == 7


@pytest.fixture
def postgres(monkeypatch):
    """URL of a database of a server that this test starts; it listens on a socket in its folder alone.

    The server wants a password, which the URL has not: the driver takes it from the environment.
    """
    pytest.importorskip("psycopg2", reason="the extra `search-postgres` is not installed")
    found = [shutil.which("initdb"), *sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    programs = next((Path(one).parent for one in found if one), None)
    if programs is None:
        pytest.skip("there is no PostgreSQL server on this machine")
    # A server refuses to be the administrator; sockets want short paths.
    other = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="btq", dir="/tmp") as name:
        folder = Path(name)
        if other:
            shutil.chown(folder, other)
        run = functools.partial(subprocess.run, check=True, user=other, cwd=folder, timeout=60)
        (folder / "password").write_text("hunter2")
        monkeypatch.setenv("PGPASSWORD", "hunter2")
        options = ["-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
        options += ["-U", "searcher", "-E", "UTF8", "--no-sync"]
        run([programs / "initdb", "-D", folder / "data", *options], stdout=subprocess.DEVNULL)
        control = [programs / "pg_ctl", "-D", folder / "data", "-w"]
        server = ["-l", folder / "log", "-o", f"-k {folder} -c listen_addresses= -c fsync=off"]
        run([*control, *server, "start"], stdout=subprocess.DEVNULL)
        try:
            yield f"postgresql+psycopg2://searcher@/postgres?host={folder}"
        finally:
            run([*control, "-m", "immediate", "stop"], stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_search_in_postgres_goes_on_as_in_a_file(config, data, postgres, whole) -> None:
    """The same seven trials, in two goes, each read back from the server."""
    question = question_of(config, data, ["signal"], n_folds=1, epochs=1)
    assert TradingConfig(models={"search": {"storage": postgres}})
    Search(question, space=SMALL, seed=3, storage=postgres).run(3)
    found = Search(question, space=SMALL, seed=3, storage=postgres).run(7)
    assert found.table.drop("number").equals(whole.table.drop("number"))
    for one, other in zip(found.records, whole.records, strict=True):
        assert one.returns.equals(other.returns)
    with pytest.raises(ModelError, match="another question"):
        Search(question, space=SMALL, seed=4, storage=postgres)


_KILLED = """
import os, sys, pathlib
sys.path.insert(0, {folder!r})
import test_search as t
import pytest
from btq_assets.models.search.candidates import Question
judge, seen = Question.judge, []
def dying(self, parameters, go_on=None):
    seen.append(1)
    if len(seen) == 3:
        os.kill(os.getpid(), 9)
    return judge(self, parameters, go_on)
Question.judge = dying
config, data = t.config.__wrapped__(), t.data.__wrapped__()
question = t.question_of(config, data, ["signal"], n_folds=1, epochs=1)
t.Search(question, space=t.SMALL, seed=3, storage={storage!r}).run(5)
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_trial(config, data, tmp_path) -> None:
    """The third trial dies by SIGKILL; it is proposed again, and the search ends as it would have."""
    file = tmp_path / "search.journal"
    code = _KILLED.format(folder=str(Path(__file__).parent), storage=str(file))
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == -9
    question = question_of(config, data, ["signal"], n_folds=1, epochs=1)
    whole = Search(question, space=SMALL, seed=3).run(5)
    search = Search(question, space=SMALL, seed=3, storage=file)
    assert len(search.records()) == 2
    found = search.run(5)
    assert found.table.drop("number").equals(whole.table.drop("number"))
    assert [record.number for record in found.records] == [0, 1, 3, 4, 5]


def test_the_median_rule_stops_a_hopeless_trial(config, data) -> None:
    """Five trials that learn, then one whose rate is next to nothing."""
    question = question_of(config, data, ["signal"], n_folds=1, epochs=4)
    search = Search(question, space={"learning_rate": Reals(1e-7, 1e-1, log=True)})
    for rate in (1e-2, 2e-2, 1e-2, 2e-2, 1e-2, 1e-7):
        search.study.enqueue_trial({"learning_rate": rate})
    found = search.run(6)
    assert [record.outcome for record in found.records] == ["complete"] * 5 + ["pruned"]
    hopeless = found.records[-1]
    assert np.isnan(hopeless.rank_ic)
    assert found.table["rank_ic"][-1] is None
    # It was forecast by the weights it had reached, on the dates of all others.
    assert hopeless.returns["ts"].equals(found.records[0].returns["ts"])
    assert hopeless.returns["net_return"].std() > 0


def test_another_question_in_the_same_study_is_refused(config, data, tmp_path) -> None:
    file = tmp_path / "search.db"
    question = question_of(config, data, ["signal", "noise"], n_folds=1, epochs=1)
    Search(question, space=SMALL, storage=file)
    with pytest.raises(ModelError, match="another question"):
        Search(replace(question, feature_columns=("noise",)), space=SMALL, storage=file)
    with pytest.raises(ModelError, match="another question"):
        Search(question, space=SMALL, storage=file, seed=1)
    Search(question, space=SMALL, storage=file, name="second", seed=1)


def test_secrets_of_a_database_are_never_shown(capfd) -> None:
    url = "postgresql+nodriver://me:hunter2@127.0.0.1:1/trials?sslpassword=s3"
    with pytest.raises(ModelError, match="does not open") as caught:
        open_storage(url)
    shown = str(caught.value) + "".join(capfd.readouterr())
    assert "127.0.0.1:1/trials" in shown
    assert not any(secret in shown for secret in ("hunter2", "me:", "s3"))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert without_secrets("mysql://u:p@ss@h/d") == "mysql://h/d"
    assert without_secrets("sqlite:///a/b.db") == "sqlite:///a/b.db"


def test_what_cannot_be_searched_is_refused(config, data, tmp_path) -> None:
    with pytest.raises(ModelError, match="at least two"):
        question_of(config, data.filter(pl.col("symbol") == "S0"), ["signal"])
    with pytest.raises(ModelError, match="must end in"):
        open_storage(tmp_path / "search.txt")
    with pytest.raises(ModelError, match="no folder"):
        open_storage(tmp_path / "absent" / "search.db")
    question = question_of(config, data, ["signal"], n_folds=1, epochs=1)
    with pytest.raises(ModelError, match=r"names \['colour'\]"):
        Search(question, space={"colour": Choice(("red",))})
    with pytest.raises(ModelError, match=r"none of 1 trial\(s\) was completed"):
        Search(question, space={"learning_rate": Choice((1e30,))}).run(1)


def test_the_optuna_example_runs(data) -> None:
    """An objective of one's own over the same space; only the import differs."""
    from btq_assets import ModelTrainer, TradingConfig

    stamps = data["ts"].unique().sort()
    train_data = data.filter(pl.col("ts") < stamps[60])
    val_data = data.filter(pl.col("ts") >= stamps[60])
    feature_columns = ["signal", "noise"]

    def objective(trial):
        config = TradingConfig(
            transformer_dim=trial.suggest_int("transformer_dim", 128, 512, step=64),
            num_heads=trial.suggest_int("num_heads", 4, 16, step=4),
            learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        )
        trainer = ModelTrainer(config)
        model = trainer.train_transformer_model(
            train_data, val_data, feature_columns=feature_columns, epochs=1
        )
        return model.scores["validation_rank_ic"]

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=2)
    assert len(study.trials) == 2
    assert 128 <= study.best_params["transformer_dim"] <= 512
    assert np.isfinite(study.best_value)


def tried(config, data, n: int = 8, **options) -> list[tuple]:
    question = question_of(config, data, ["signal", "noise"], n_folds=1)
    found = Search(question, space=SMALL, seed=3, **options).run(n)
    return [
        (one.number, one.parameters, one.outcome, one.rank_ics, one.returns.rows())
        for one in found.records
    ]


def test_trials_judged_elsewhere_are_those_judged_here(config, data, monkeypatch) -> None:
    """One at a time: what Optuna's own pruner stops is stopped by the medians sent along."""
    from btq_assets.models.search.candidates import Judged, Question
    from btq_assets.models.workers import Alone

    def judge(self, parameters, go_on=None) -> Judged:
        """Losses fall from step to step, to where the learning rate leads; one cannot be fitted."""
        rate = math.log10(parameters["learning_rate"])
        if parameters["num_heads"] == 2 and rate > -2.5:
            raise ModelError("diverged")
        stopped = not all(go_on(step, (rate + 3) ** 2 + 1 / step) for step in (1, 2, 3))
        return Judged(math.nan if stopped else -rate, (-rate,), self.flat(), stopped)

    monkeypatch.setattr(Question, "judge", judge)
    here = tried(config, data, 40)
    outcomes = [outcome for _, _, outcome, *_ in here]
    assert {*outcomes} == {"complete", "pruned", "failed"}
    assert tried(config, data, 40, workers=Alone()) == here
    unpruned = tried(config, data, 40, workers=Alone(), pruning=False)
    assert "pruned" not in [outcome for _, _, outcome, *_ in unpruned]


@pytest.mark.slow
def test_ray_and_processes_judge_the_same_trials(config, data) -> None:
    """Two rounds of three; every trial is told to the recorder once, whoever judged it."""
    from btq_assets.models.workers import Alone, Processes, RayWorkers

    expected = tried(config, data, 6, workers=Alone(), beside=3)
    assert len({str(parameters) for _, parameters, *_ in expected}) == 6
    assert tried(config, data, 6, workers=Processes(2), beside=3) == expected
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    told: list[int] = []
    tell = {"recorder": lambda one: told.append(one.number)}
    try:
        found = tried(config, data, 6, workers=RayWorkers(2), beside=3, **tell)
    finally:
        ray.shutdown()
    assert found == expected
    assert told == list(range(6))
