"""Every kind of bad input, put to every model family: a named error, or what the documents say.

The table is that of docs/models.md, "Bad input"; a test per row, over all of `catalogue.FAMILIES`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

torch = pytest.importorskip("torch")

from btq_assets.config import TradingConfig  # noqa: E402
from btq_assets.models.catalogue import FAMILIES, family_named, spec_of  # noqa: E402
from btq_assets.models.folds import TrainingSet, for_fold, splits  # noqa: E402
from btq_assets.models.forecaster import MissingFeatureError, ModelError  # noqa: E402
from btq_assets.timeline import TimelineError  # noqa: E402

torch.set_num_threads(1)

#: What makes a fit of any family small; each takes the settings it knows.
SMALL = {
    "model_dim": 8,
    "num_heads": 2,
    "graph_heads": 1,
    "lookback_sessions": 3,
    "epochs": 1,
    "dropout": 0.0,
    "graph_window_sessions": 20,
    "graph_neighbours": 2,
    "horizon_sessions": 1,
    "min_child_samples": 20,
    "n_estimators": 20,
    "alphas": (10.0, 1000.0),
}

FEATURES = ("signal", "noise")


def spec_for(name: str, **others: Any) -> Any:
    known = {field.name for field in fields(family_named(name).load().spec_type)}
    return spec_of(name, **{k: v for k, v in {**SMALL, **others}.items() if k in known})


def forecaster(name: str, **others: Any) -> Any:
    return family_named(name).load()(spec_for(name, **others))


@pytest.fixture(scope="module")
def panel(planted: pl.DataFrame) -> pl.DataFrame:
    """4 assets, 85 sessions."""
    ts = planted["ts"].unique().sort()
    return planted.filter((pl.col("symbol") < "S04") & (pl.col("ts") < ts[85]))


@pytest.fixture(scope="module")
def data_of(training_set_of: Any) -> Any:
    def made(panel: pl.DataFrame, features: tuple[str, ...] = FEATURES) -> TrainingSet:
        return training_set_of(panel, features, 50, 18)

    return made


def later(panel: pl.DataFrame) -> pl.DataFrame:
    """The sessions after validation, and the history before them."""
    ts = panel["ts"].unique().sort()
    return panel.filter(pl.col("ts") >= ts[45]).with_columns(is_decision=pl.col("ts") >= ts[68])


each = pytest.mark.parametrize("name", FAMILIES)


def whole(found: pl.DataFrame, panel: pl.DataFrame) -> None:
    """A finite forecast for every decision."""
    assert found.height == panel.filter("is_decision").height
    assert found["forecast"].is_finite().all()


@each
def test_a_universe_of_one_asset_is_refused(name: str, panel: pl.DataFrame, data_of: Any) -> None:
    alone = panel.filter(pl.col("symbol") == "S00")
    with pytest.raises(ModelError, match="S00 is the only labelled asset"):
        forecaster(name).fit(data_of(alone))


@each
def test_an_empty_graph_leaves_each_asset_to_itself(
    name: str, panel: pl.DataFrame, data_of: Any
) -> None:
    """No relation at all, and returns that never move: loops are left."""
    still = panel.with_columns(session_return=0.0)
    for table, options in ((still, {}), (panel, {"relations": ()})):
        fitted = forecaster(name, **options).fit(data_of(table))
        whole(fitted.predict(later(table)), later(table))


@each
def test_a_column_without_a_value_is_left_out_and_one_with_some_is_kept(
    name: str, panel: pl.DataFrame
) -> None:
    """As a fold does it: what holds nothing in training is not offered, whatever comes later."""
    ts = panel["ts"].unique().sort()
    seen = pl.when(pl.col("ts") > ts[60]).then(1.0)
    table = panel.with_columns(never=pl.lit(None, pl.Float64), late=seen)
    fold = {
        "fold": 0, "universe": "test", "train_start": ts[0], "train_end": ts[47],
        "validation_start": ts[50], "validation_end": ts[65], "test_start": ts[68],
    }  # fmt: skip
    data = for_fold(
        table, fold, market=False, asset_features=(*FEATURES, "never", "late"), market_features=()
    )
    assert data.asset_features == FEATURES
    fitted = forecaster(name).fit(data)
    assert fitted.provenance.feature_names == FEATURES
    whole(fitted.predict(later(table)), later(table))


def test_a_modality_without_any_value_is_masked(panel: pl.DataFrame, data_of: Any) -> None:
    """What is written where nothing is known moves no forecast."""
    from btq_assets.models.windows.modalities import columns_of

    column = columns_of("sentiment")[0]
    table = panel.with_columns(pl.lit(None, pl.Float64).alias(column))
    name = "transformer_gnn"
    fitted = forecaster(name, modalities=("sentiment",)).fit(data_of(table, (*FEATURES, column)))
    whole(fitted.predict(later(table)), later(table))


@each
def test_constant_features_say_nothing_and_break_nothing(
    name: str, panel: pl.DataFrame, data_of: Any
) -> None:
    table = panel.with_columns(flat=3.0)
    fitted = forecaster(name).fit(data_of(table, (*FEATURES, "flat")))
    found = fitted.predict(later(table))
    whole(found, later(table))
    with_others = found["forecast"].to_numpy()
    assert with_others.std() > 0
    # Nothing but constants: the fit stands, and says the same of every asset of a date.
    alone = forecaster(name).fit(data_of(table, ("flat",)))
    values = alone.predict(later(table))
    whole(values, later(table))


@each
def test_rows_without_a_label_are_left_out(name: str, panel: pl.DataFrame, data_of: Any) -> None:
    """Some, all of a date, NaN and infinite ones: the fit is that of the rows that are left."""
    ts = panel["ts"].unique().sort()
    date, row = pl.col("ts") == ts[30], (pl.col("ts") == ts[40]) & (pl.col("symbol") == "S01")
    gone = panel.with_columns(label=pl.when(~(date | row)).then("label"))
    spoilt = panel.with_columns(
        label=pl.when(date).then(float("nan")).when(row).then(float("inf")).otherwise("label")
    )
    one, other = (forecaster(name).fit(data_of(table)) for table in (gone, spoilt))
    assert one.scores["n_train"] == panel.filter(pl.col("ts") <= ts[48]).height - 5
    assert_frame_equal(one.predict(later(panel)), other.predict(later(panel)))


@each
def test_no_label_at_all_is_refused(name: str, panel: pl.DataFrame, data_of: Any) -> None:
    none = panel.with_columns(label=pl.lit(None, pl.Float64))
    with pytest.raises(ModelError, match="no labelled decision in the train segment"):
        forecaster(name).fit(data_of(none))
    same = panel.with_columns(label=pl.lit(0.0))
    with pytest.raises(ModelError, match="do not differ, so there is nothing to learn"):
        forecaster(name).fit(data_of(same))


@each
def test_too_few_samples_are_refused(name: str, panel: pl.DataFrame, training_set_of: Any) -> None:
    with pytest.raises(ModelError, match="no labelled decision in the validation segment"):
        data = training_set_of(panel, FEATURES, 50, 18)
        data = replace(data, validation=(data.cutoff, data.cutoff))
        forecaster(name).fit(data)


def test_a_fold_without_training_decisions_is_refused(panel: pl.DataFrame) -> None:
    config = TradingConfig(
        models={"walk_forward": {"first_test": "2010-01-20", "validation_months": 1}}
    )
    with pytest.raises(TimelineError, match="fold 0: no training decision before"):
        splits(panel, config)


def test_leaves_that_hold_all_rows_are_refused(panel: pl.DataFrame, data_of: Any) -> None:
    with pytest.raises(ModelError, match=r"too few for two leaves of at least 400"):
        forecaster("lightgbm", min_child_samples=400).fit(data_of(panel))


@each
def test_infinite_features_count_as_missing(name: str, panel: pl.DataFrame, data_of: Any) -> None:
    """The same fit and the same forecasts as with nulls in their place."""
    ts = panel["ts"].unique().sort()
    where = (pl.col("symbol") == "S02") & (pl.col("ts").is_in(ts.gather([20, 21, 72]).implode()))
    tables = [
        panel.with_columns(signal=pl.when(where).then(value).otherwise("signal"))
        for value in (pl.lit(None, pl.Float64), float("inf"), float("-inf"), float("nan"))
    ]
    first, *others = (forecaster(name).fit(data_of(t)).predict(later(t)) for t in tables)
    whole(first, later(panel))
    for other in others:
        assert_frame_equal(first, other)


@each
def test_two_rows_of_an_asset_at_a_time_are_refused(
    name: str, panel: pl.DataFrame, data_of: Any
) -> None:
    twice = pl.concat([panel, panel.filter(pl.col("symbol") == "S03")[[30, 72]]])
    with pytest.raises(ModelError, match=r"a training set: 2 rows share their key.*first S03 at"):
        data_of(twice)
    fitted = forecaster(name).fit(data_of(panel))
    with pytest.raises(ModelError, match="2 rows share their key with another, first S03 at"):
        fitted.predict(later(twice))


@each
def test_the_order_of_rows_says_nothing(name: str, panel: pl.DataFrame, data_of: Any) -> None:
    mixed = panel.sample(fraction=1.0, shuffle=True, seed=3)
    one, other = (forecaster(name).fit(data_of(table)) for table in (panel, mixed))
    assert_frame_equal(one.predict(later(panel)), other.predict(later(mixed)))


@each
def test_a_missing_feature_is_named(name: str, panel: pl.DataFrame, data_of: Any) -> None:
    fitted = forecaster(name).fit(data_of(panel))
    with pytest.raises(MissingFeatureError, match="'noise'"):
        fitted.predict(later(panel).drop("noise"))
    with pytest.raises(ModelError, match="at least one feature column"):
        forecaster(name).fit(data_of(panel, ()))


@each
def test_assets_come_and_go(name: str, panel: pl.DataFrame, data_of: Any) -> None:
    """One is listed late, one ends early: forecasts are of who is there, by what is there.

    Before an asset is listed its rows, cut off or not, change no forecast; neither does one that is
    gone, except through the past of the relation graph, which this panel does not look back on.
    """
    ts = panel["ts"].unique().sort()
    ragged = panel.filter(
        ~((pl.col("symbol") == "S02") & (pl.col("ts") < ts[25]))
        & ~((pl.col("symbol") == "S03") & (pl.col("ts") > ts[70]))
    )
    fitted = forecaster(name).fit(data_of(ragged))
    wanted = later(ragged)
    found = fitted.predict(wanted)
    whole(found, wanted)
    assert found.filter((pl.col("symbol") == "S03") & (pl.col("ts") > ts[70])).is_empty()
    listed = ts[74]
    newcomer = ragged.filter(pl.col("symbol") == "S00").with_columns(symbol=pl.lit("S99"))
    with_it = pl.concat([wanted, later(newcomer).filter(pl.col("ts") >= listed)])
    before = pl.col("ts") < listed
    assert_frame_equal(fitted.predict(with_it).filter(before), found.filter(before))


def test_an_unknown_architecture_or_setting_is_named_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"no model family 'xlstmm'; did you mean 'xlstm'"):
        family_named("xlstmm")
    with pytest.raises(ModelError, match=r"no relation 'sectr'.*sector"):
        spec_of("gat", relations=("sectr",))
    with pytest.raises(ModelError, match=r"no loss 'hubber'.*huber"):
        spec_of("mlp", loss="hubber")
    with pytest.raises(ModelError, match=r"no pre-training 'mask'.*masked"):
        spec_of("xlstm", pretraining="mask")


@each
def test_an_unknown_hyper_parameter_is_named_with_the_nearest(name: str) -> None:
    known = sorted(field.name for field in fields(family_named(name).load().spec_type))[0]
    with pytest.raises(ModelError, match=rf"{name} has no hyper-parameter .* mean '{known}'"):
        spec_of(name, **{f"{known}x": 1})


@pytest.mark.parametrize("name", [n for n, family in FAMILIES.items() if family.is_deep])
def test_out_of_memory_halves_the_dates_and_says_so(
    name: str, panel: pl.DataFrame, data_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network that fits six dates at once trains and forecasts as one that fits all of them."""
    plain = forecaster(name).fit(data_of(panel))
    expected = plain.predict(later(panel))
    loaded = type(plain)
    new_network = loaded.new_network

    def small(self: Any, n_features: int) -> Any:
        network = new_network(self, n_features)

        def refuse(_: Any, given: Any) -> None:
            if int(given[0].date.max()) >= 6:
                raise MemoryError("no room for that")

        network.register_forward_pre_hook(refuse)
        return network

    monkeypatch.setattr(loaded, "new_network", small)
    fitted = forecaster(name).fit(data_of(panel))
    assert any(
        "out of memory" in note and "going on with" in note for note in fitted.scores["notes"]
    )
    # Who is forecast to do better than whom; the level of a date is not learnt.
    relative = pl.col("forecast") - pl.col("forecast").mean().over("ts")
    one, other = (f.select(relative).to_series() for f in (fitted.predict(later(panel)), expected))
    np.testing.assert_allclose(one, other, atol=1e-3 * other.std())
