"""Networks fitted on slices of a real warehouse: the fit of the whole panel, in less memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

torch = pytest.importorskip("torch")

from btq_assets.contracts.base import TableContract  # noqa: E402
from btq_assets.contracts.columns import SYMBOL, TS, UNIVERSE, flag, number, stamp  # noqa: E402
from btq_assets.models.catalogue import DEEP  # noqa: E402
from btq_assets.models.deep.stored import RunningMoments, fit_stored  # noqa: E402
from btq_assets.models.design import Standardiser  # noqa: E402
from btq_assets.models.folds import for_fold  # noqa: E402
from btq_assets.models.forecaster import ModelError  # noqa: E402
from btq_assets.warehouse import StoredTable, Warehouse  # noqa: E402
from btq_assets.warehouse import slices as slices_of  # noqa: E402
from btq_assets.warehouse.paths import DataPaths  # noqa: E402
from btq_assets.warehouse.writing import append_rows  # noqa: E402

torch.set_num_threads(1)
FEATURES = ("signal", "noise", "late")


def contract(features: tuple[str, ...]) -> TableContract:
    return TableContract(
        layer="models",
        name="training_set",
        description="A training set of a test.",
        columns=(
            UNIVERSE,
            SYMBOL,
            TS,
            flag("is_decision", "d"),
            number("session_return", "r"),
            number("label", "l"),
            stamp("label_end_ts", "e", nullable=True),
            *(number(name, "f") for name in features),
        ),
        key=("universe", "symbol", "ts"),
    )


def stored(
    folder: Path, features: tuple[str, ...], rows: pl.DataFrame | None = None
) -> StoredTable:
    warehouse = Warehouse(DataPaths(folder), 5)
    table = contract(features)
    if rows is not None:
        with warehouse.transaction() as connection:
            append_rows(connection, table, rows.select(table.column_names))
    return StoredTable(warehouse, table)


def stretches(table: StoredTable) -> Any:
    """Whole sessions, as many as make a slice."""
    return lambda: (table.between("ts", *span) for span in table.spans("ts"))


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    """6 assets of which one is listed late and one goes, 120 sessions; a feature without early values."""
    import datetime as dt

    random = np.random.default_rng(3)
    ts = [dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(120)]
    signal = random.normal(size=(120, 6))
    label = 0.01 * (0.5 * signal + random.normal(size=signal.shape))
    frame = pl.DataFrame(
        {
            "universe": "test",
            "symbol": [f"S{j}" for _ in ts for j in range(6)],
            "ts": [t for t in ts for _ in range(6)],
            "is_decision": True,
            "session_return": 0.01 * random.normal(size=720),
            "label": label.ravel(),
            "signal": 2 + 3 * signal.ravel(),
            "noise": random.normal(size=720),
        }
    ).with_columns(
        label_end_ts=pl.col("ts") + pl.duration(days=2),
        late=pl.when(pl.col("ts") > ts[90]).then(1.0),
        noise=pl.when(pl.int_range(720) % 7 != 0).then("noise"),
    )
    gone = (pl.col("symbol") == "S1") & (pl.col("ts") > ts[60])
    early = (pl.col("symbol") == "S4") & (pl.col("ts") < ts[40])
    return frame.filter(~gone & ~early).sort("universe", "symbol", "ts")


@pytest.fixture(scope="module")
def fold(panel: pl.DataFrame) -> dict[str, Any]:
    ts = panel["ts"].unique().sort()
    return {
        "universe": "test", "fold": 0, "train_start": ts[0], "train_end": ts[67],
        "validation_start": ts[70], "validation_end": ts[97], "test_start": ts[100],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["mlp", "transformer_gnn"])
def test_a_fit_on_slices_is_that_of_the_whole_panel(
    name: str, panel: pl.DataFrame, fold: dict[str, Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(slices_of, "SLICE_ROWS", 100)
    table = stored(tmp_path / "data", FEATURES, panel)
    assert len(table.spans("ts")) > 5
    forecaster = DEEP[name].load()
    options = {"calendar": True} if name == "transformer_gnn" else {}
    spec = forecaster.spec_type(
        model_dim=8, lookback_sessions=4, epochs=2, dropout=0.0, graph_window_sessions=20, **options
    )
    found = fit_stored(
        forecaster(spec), stretches(table), FEATURES, fold, folder=tmp_path / "files"
    )
    data = for_fold(panel.with_columns(label_raw="label"), fold, market=False,
                    asset_features=FEATURES, market_features=())  # fmt: skip
    whole = forecaster(spec).fit(data)
    assert found.provenance.feature_names == whole.provenance.feature_names == ("signal", "noise")
    np.testing.assert_allclose(found._scaler.mean, whole._scaler.mean, rtol=1e-12)
    np.testing.assert_allclose(found._scaler.scale, whole._scaler.scale, rtol=1e-12)
    assert found.scores["n_train"] == whole.scores["n_train"]
    np.testing.assert_allclose(
        found.scores["training_loss"], whole.scores["training_loss"], rtol=1e-4
    )
    later = panel.filter(pl.col("ts") >= fold["test_start"])
    one, other = (model.predict(later)["forecast"] for model in (found, whole))
    np.testing.assert_allclose(one, other, atol=1e-3 * other.std())
    assert found.scores["validation_rank_ic"] == pytest.approx(
        whole.scores["validation_rank_ic"], abs=0.02
    )


def test_sectors_and_the_unit_of_a_fit_on_stretches_are_those_of_the_whole_panel(
    panel: pl.DataFrame, fold: dict[str, Any], tmp_path: Path
) -> None:
    number = pl.col("symbol").str.slice(1).cast(pl.Int64)
    panel = panel.with_columns(
        sector=pl.when(number < 3).then(pl.lit("Energy")).otherwise(pl.lit("Banks")),
        label=pl.col("label") + 0.02,
    )
    ts = panel["ts"].unique().sort()
    parts = [
        panel.filter(pl.col("ts").is_between(*ts[i : i + 40].to_list()[::39])) for i in (0, 40, 80)
    ]
    forecaster = DEEP["hetero_gnn"].load()
    for relative in (True, False):
        spec = forecaster.spec_type(
            model_dim=8, lookback_sessions=4, epochs=1, dropout=0.0, graph_window_sessions=20,
            relative=relative,
        )  # fmt: skip
        found = fit_stored(
            forecaster(spec), lambda: parts, FEATURES, fold, folder=tmp_path / str(relative)
        )
        data = for_fold(panel.with_columns(label_raw="label"), fold, market=False,
                        asset_features=FEATURES, market_features=())  # fmt: skip
        whole = forecaster(spec).fit(data)
        assert found._sectors == whole._sectors == ("Banks", "Energy")
        assert found._unit == whole._unit
        later = panel.filter(pl.col("ts") >= fold["test_start"])
        one, other = (model.predict(later)["forecast"] for model in (found, whole))
        np.testing.assert_allclose(one, other, atol=1e-3 * other.std())


def test_moments_of_parts_are_those_of_the_whole() -> None:
    random = np.random.default_rng(1)
    values = 1e3 + random.normal(size=(500, 3))
    values[random.random(values.shape) < 0.2] = np.nan
    values[:, 2] = np.nan
    moments = RunningMoments(3)
    for part in np.split(values, [10, 11, 300]):
        moments.add(part)
    found, whole = moments.standardiser(), Standardiser.fit(values)
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(found.scale, whole.scale, rtol=1e-10)
    assert moments.count[2] == 0


def test_stretches_out_of_order_and_without_rows_are_named(
    panel: pl.DataFrame, fold: dict[str, Any], tmp_path: Path
) -> None:
    forecaster = DEEP["mlp"].load()
    ts = panel["ts"].unique().sort()
    halves = [panel.filter(pl.col("ts") > ts[50]), panel.filter(pl.col("ts") <= ts[50])]
    with pytest.raises(ModelError, match="whole sessions in order of time"):
        fit_stored(forecaster(), lambda: halves, FEATURES, fold, folder=tmp_path)
    with pytest.raises(ModelError, match="no row of test until"):
        fit_stored(forecaster(), list, FEATURES, fold, folder=tmp_path)
    with pytest.raises(ModelError, match="'volume'"):
        fit_stored(forecaster(), lambda: [panel], ("volume",), fold, folder=tmp_path)


_CHILD = """
import sys, tempfile, pathlib, datetime as dt
sys.path.insert(0, {folder!r})
import test_stored_windows as t
import polars as pl, torch
from btq_assets.models.deep.recurrent import PerceptronForecaster, PerceptronSpec
from btq_assets.models.folds import for_fold
t.slices_of.SLICE_ROWS = 10_000
features = tuple(f"f{{i}}" for i in range(60))
table = t.stored(pathlib.Path({data!r}), features)
features = features[:{n}]
start = dt.datetime(2000, 1, 1, 21, tzinfo=dt.UTC)
day = lambda n: start + dt.timedelta(days=n)
fold = dict(universe="test", fold=0, train_start=day(0), train_end=day(1496), validation_start=day(1500),
            validation_end=day(1796), test_start=day(1800))
spec = PerceptronSpec(model_dim=8, num_layers=1, lookback_sessions=3, epochs=1, batch_dates=16)
forecaster = PerceptronForecaster(spec)
import btq_assets.models.deep.stored, btq_assets.models.training.loop, btq_assets.models.windows.mapped
def kib(name):
    # Of this program alone: what the parent held at its start counts in getrusage.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])
base = kib("VmRSS")
if {how!r} == "slices":
    with tempfile.TemporaryDirectory(dir={data!r}) as files:
        t.fit_stored(forecaster, t.stretches(table), features, fold, folder=pathlib.Path(files))
else:
    panel = table.whole().with_columns(label_raw="label")
    forecaster.fit(for_fold(panel, fold, market=False, asset_features=features, market_features=()))
peak = kib("VmHWM")
print("MIB", (peak - base) / 1024, forecaster.scores["training_loss"][0])
"""


@pytest.mark.slow
def test_the_history_is_never_whole_in_memory(tmp_path: Path) -> None:
    """Peak RSS beyond the process with torch, in fresh processes, over 200 assets and 1,800 sessions.

    Sixty features of 360,000 rows are 165 MiB as stored, 110 MiB more than twenty: a fit on slices may
    grow by less than half of that with them, and takes less than a third of one on the whole panel.
    """
    features = tuple(f"f{i}" for i in range(60))
    table = contract(features)
    warehouse = Warehouse(DataPaths(tmp_path), 5)
    columns = ", ".join(f"random() - 0.5 AS {name}" for name in features)
    with warehouse.transaction() as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS models")
        connection.execute(table.ddl())
        connection.execute(
            f"INSERT INTO {table.table} SELECT 'test', 'S' || lpad(a.range::VARCHAR, 3, '0'), "
            "TIMESTAMPTZ '2000-01-01 21:00:00+00' + INTERVAL (s.range) DAY, true, random() - 0.5, "
            "random() - 0.5, TIMESTAMPTZ '2000-01-03 21:00:00+00' + INTERVAL (s.range) DAY, "
            f"{columns} FROM range(1800) s, range(200) a ORDER BY 3, 2"
        )
    found, losses = {}, {}
    for how, n in (("slices", 60), ("whole", 60), ("slices", 20)):
        code = _CHILD.format(folder=str(Path(__file__).parent), data=str(tmp_path), how=how, n=n)
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        # DuckDB may have drawn how far a query is on the same line.
        said = done.stdout.rpartition("MIB ")[2].split()
        found[how, n], losses[how, n] = float(said[0]), float(said[1])
    assert losses["slices", 60] == pytest.approx(losses["whole", 60], rel=1e-3)
    print(found)
    assert found["slices", 60] - found["slices", 20] < 55
    assert found["slices", 60] < 0.33 * found["whole", 60]
