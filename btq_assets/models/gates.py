"""What a training set and a table of forecasts must survive before they are kept.

Belongs here: purge, label, synthetic, out-of-sample and plausibility gates as checks over frames.
Does not belong here: gates that need a fitted model (`fit_gates`), and who runs the checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from btq_assets.config import TradingConfig
from btq_assets.contracts import features
from btq_assets.contracts import models as tables
from btq_assets.contracts.base import TableContract
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.evidence.truncation import truncation_check, truncation_dates
from btq_assets.models import folds, labels, scores, training_set
from btq_assets.models.chosen import chosen_tables

#: A mean rank IC of weekly, honest forecasts is 0.00 to 0.05; above this something leaks.
IMPLAUSIBLE_IC = 0.15
MIN_DATES_FOR_IC = 100

#: Inputs of the training set that are no feature families.
_NO_FAMILIES = ("bars", "regimes", "membership", "labels")

_LABELS = ("label", "label_", "sample_weight")
_KEY = ["universe", "symbol", "ts"]


def build_from_inputs(inputs: Mapping[str, pl.DataFrame], config: TradingConfig) -> pl.DataFrame:
    """`training_set.build` from the named inputs of the asset."""
    families = {name: frame for name, frame in inputs.items() if name not in _NO_FAMILIES}
    return training_set.build(
        inputs["bars"],
        families,
        inputs["regimes"],
        config,
        inputs.get("membership"),
        inputs.get("labels"),
    )


def training_set_truncation(contract: TableContract) -> CheckGroup:
    """Features and decision flags of the training set, rebuilt from inputs cut at seeded dates."""
    of_labels = tuple(name for name in contract.column_names if name.startswith(_LABELS))
    return truncation_check(
        contract, build_from_inputs, history_sessions=30, last_sessions=10, ignore=of_labels
    )


def _purge(context: CheckContext) -> CheckOutcome:
    found = folds.purge_violations(
        context.frames[tables.TRAINING_SET.table], context.frames[tables.SPLITS.table]
    )
    if found.is_empty():
        return CheckOutcome("purge", True, "every label is filled before the next segment starts")
    row = found.row(0, named=True)
    return CheckOutcome(
        "purge",
        False,
        f"{found.height} label(s) reach into the next segment: fold {row['fold']} {row['segment']}, "
        f"{row['symbol']} decided {row['ts']}, filled {row['label_end_ts']}, next segment starts "
        f"{row['next_start']}",
        {"n_violations": found.height},
    )


purge: CheckGroup = frame_check(
    "purge", "No training or validation label ends after the next segment starts.", _purge
)


def _label_horizon(context: CheckContext) -> CheckOutcome:
    name = "label_horizon"
    stored = context.frames[tables.TRAINING_SET.table]
    bars = context.inputs["bars"].filter(pl.col("universe") == context.config.universe.main)
    n_compared = 0
    for cut in truncation_dates(stored, context.config.features.truncation_dates, name):
        fresh = _labels_known_at(bars, cut, context.config)
        for column in labels.value_columns(context.config):
            both = fresh.select(*_KEY, pl.col(column).alias("again")).join(
                stored.select(*_KEY, pl.col(column).alias("stored"), "label_end_ts"),
                on=_KEY,
                how="inner",
            )
            filled = pl.col("label_end_ts") <= cut
            wrong = both.filter(
                pl.when(filled.fill_null(False))
                .then(~(pl.col("stored") - pl.col("again")).abs().le(1e-12).fill_null(False))
                .otherwise(pl.col("again").is_not_null())
                & ~(pl.col("stored").is_null() & pl.col("again").is_null())
            )
            if wrong.height:
                row = wrong.row(0, named=True)
                return CheckOutcome(
                    name,
                    False,
                    f"{wrong.height} {column}(s) differ from those of data known at {cut}: "
                    f"{row['symbol']} at {row['ts']} is {row['stored']}, was {row['again']}",
                )
            n_compared += both.height
    return CheckOutcome(name, True, f"{n_compared:,} labels unchanged", {"compared": n_compared})


def _labels_known_at(bars: pl.DataFrame, cut: datetime, config: TradingConfig) -> pl.DataFrame:
    """Labels computed again, from the bars on, of what was known at a time."""
    known = bars.filter(pl.col("known_at") <= cut)
    table = None
    if labels.reads_table(config):
        from btq_assets.features.labels.table import labels as label

        table = label(known, config)
    return labels.labels_of(known, config, table)


label_horizon: CheckGroup = frame_check(
    "label_horizon",
    "A label is the fill-to-fill return minus the universe mean, and needs nothing after its own end.",
    _label_horizon,
)


def _no_synthetic(context: CheckContext) -> CheckOutcome:
    name = "no_synthetic_sentiment"
    table = context.frames[tables.TRAINING_SET.table]
    for family, contract in chosen_tables(context.config).items():
        if "is_synthetic" not in contract.column_names:
            continue
        synthetic = context.inputs[family].filter(pl.col("is_synthetic")).select(_KEY)
        leaked = table.join(synthetic, on=_KEY, how="semi").filter(
            pl.any_horizontal(pl.col(features.columns_of(contract)).is_not_null())
        )
        if leaked.height:
            row = leaked.row(0, named=True)
            return CheckOutcome(
                name,
                False,
                f"{leaked.height} row(s) carry {family} of SYNTHETIC documents, first "
                f"{row['symbol']} at {row['ts']}; join {family} only where is_synthetic is false",
            )
    return CheckOutcome(name, True, "no SYNTHETIC document is behind any feature")


no_synthetic_sentiment: CheckGroup = frame_check(
    "no_synthetic_sentiment",
    "Sentiment of generated documents never reaches a training set.",
    _no_synthetic,
)


def out_of_sample(contract: TableContract) -> CheckGroup:
    """Every forecast lies in its fold's test segment, and every decision there has one."""

    def run(context: CheckContext) -> CheckOutcome:
        name = "out_of_sample"
        forecasts = context.frames[contract.table]
        splits = context.inputs["splits"]
        bounds = forecasts.join(
            splits.select("universe", "fold", "test_start", "test_end"),
            on=["universe", "fold"],
            how="left",
        )
        inside = pl.col("ts").is_between(pl.col("test_start"), pl.col("test_end"))
        outside = bounds.filter(~inside.fill_null(False))
        if outside.height:
            row = outside.row(0, named=True)
            return CheckOutcome(
                name,
                False,
                f"{outside.height} forecast(s) outside the test segment of their fold: fold "
                f"{row['fold']}, {row['symbol']} at {row['ts']}",
            )
        decisions = context.inputs["training_set"].filter("is_decision").select(_KEY)
        wanted = pl.concat(
            decisions.filter(
                (pl.col("universe") == fold["universe"])
                & pl.col("ts").is_between(fold["test_start"], fold["test_end"])
            )
            for fold in splits.iter_rows(named=True)
        )
        for (variant, seed, h), rows in forecasts.group_by("variant", "seed", "horizon_sessions"):
            lacking = wanted.join(rows, on=_KEY, how="anti")
            if lacking.height:
                row = lacking.row(0, named=True)
                return CheckOutcome(
                    name,
                    False,
                    f"{variant}, seed {seed}, {h} sessions: {lacking.height} decision(s) have no forecast, first "
                    f"{row['symbol']} at {row['ts']}",
                )
        return CheckOutcome(
            name, True, f"{forecasts.height:,} forecasts", {"decisions": wanted.height}
        )

    return frame_check(
        "out_of_sample",
        "Every forecast lies in the test segment of its fold, and every decision there has one.",
        run,
    )


def plausible_ic(contract: TableContract) -> CheckGroup:
    """No variant and seed has a mean rank IC that only a leak explains."""

    def run(context: CheckContext) -> CheckOutcome:
        name = "plausible_ic"
        found = {}
        own = context.config.models.horizon_sessions
        for (variant, seed, h), rows in context.frames[contract.table].group_by(
            "variant", "seed", "horizon_sessions", maintain_order=True
        ):
            further = None if h == own else int(h)
            table = labels.for_horizon(context.inputs["training_set"], further)
            ics = scores.rank_ic_by_date(rows, table)["rank_ic"].drop_nulls()
            if ics.len() >= MIN_DATES_FOR_IC:
                which = f"{variant}, seed {seed}" + (f", {h} sessions" if further else "")
                found[which] = round(float(ics.mean()), 4)  # type: ignore[arg-type]
        high = {which: ic for which, ic in found.items() if abs(ic) > IMPLAUSIBLE_IC}
        return CheckOutcome(
            name,
            not high,
            f"mean rank IC {high} is beyond {IMPLAUSIBLE_IC}: look for a leak" if high else "",
            found,
        )

    return frame_check(
        "plausible_ic",
        f"Mean rank IC is at most {IMPLAUSIBLE_IC} in absolute value; honest forecasts have 0.00 to 0.05.",
        run,
    )
