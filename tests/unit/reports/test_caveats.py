"""Nothing a reader must know goes unsaid, and each caveat follows from a table or a setting."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
import report_frames
from report_frames import fill, make_context

from btq_assets.config import TradingConfig
from btq_assets.config.sections import UniverseSection
from btq_assets.contracts import features
from btq_assets.reports.caveats import banner, caveats, null_families
from btq_assets.reports.frames import CONTRACTS, ReportFrames


def texts(frames: ReportFrames, config: TradingConfig | None = None) -> str:
    return "\n".join(caveat.text for caveat in caveats(frames, make_context(config)))


def changed(frames: ReportFrames, **tables: pl.DataFrame) -> ReportFrames:
    return replace(frames, tables={**frames.tables, **tables})


@pytest.mark.parametrize(
    "said",
    [
        "no verdict on deep models",
        "SURVIVORS: picked with hindsight",
        "SYNTHETIC: 30 headlines",
        "2 bars of us20 (S02) were corrected or came after their time",
        "REVISED: only the last revised form of CPILFESL",
        "CPILFESL, VIXCLS end in 2005",
        "risk-free rate of 0",
        "sp500_price_index is not comparable",
        "All runs: impact is null, raw volume is unknown.",
        "Family microstructure: all features are null on us20",
        "Check stale_prices on raw.bars_sample",
        "Gate deflated_sharpe not passed by ridge",
        "VaR and CVaR, cornish_fisher: 14.",
        "Stress window dot-com is not covered: the data begin in 2005",
        "4 × raw.bars_sample: high < low",
        "Remote sources yahoo, binance",
        "missed split proposed with confidence 0.85, not applied",
        "Feature family quantum (1 features)",
        "21 of 520 sessions the latest scheduled fit had not converged",
        "chosen with hindsight",
    ],
)
def test_it_is_said(report_tables: ReportFrames, said: str) -> None:
    assert said in texts(report_tables)


def test_undated_sectors_are_named_first_while_features_of_them_are_computed(
    report_tables: ReportFrames,
) -> None:
    catalogue = report_tables["catalogue"]
    assert "Sectors have" not in texts(report_tables)
    row = catalogue.head(1).with_columns(family=pl.lit("sector_relative"), enabled=pl.lit(True))
    frames = changed(report_tables, catalogue=pl.concat([catalogue, row]))
    first = caveats(frames, make_context(None))[0]
    assert first.text.startswith("Sectors have no history: features.sector_relative")
    assert first.text.endswith("no model reads them.")
    read = TradingConfig(models={"feature_families": ["technical", "sector_relative"]})
    assert "models read them" in caveats(frames, make_context(read))[0].text
    off = changed(report_tables, catalogue=pl.concat([catalogue, row.with_columns(enabled=False)]))
    assert "Sectors have" not in texts(off)


def test_a_series_that_runs_to_the_end_is_not_said_to_end_early(
    report_tables: ReportFrames,
) -> None:
    assert "FRBNY:PAYEMS end" not in texts(report_tables)


def test_an_applied_repair_is_said_to_reach_back(report_tables: ReportFrames) -> None:
    applied = report_tables["repairs"].with_columns(applied=pl.lit(True))
    assert "applied; decisions of every date read the mended values" in texts(
        changed(report_tables, repairs=applied)
    )


def test_each_goes_when_its_reason_goes(report_tables: ReportFrames) -> None:
    empty = {name: CONTRACTS[name].empty() for name in ("quarantine", "documents", "gates", "bars")}
    said = texts(changed(report_tables, **empty), TradingConfig(profile="full"))
    for gone in ("high < low", "SYNTHETIC", "Gate ", "no verdict on deep models", "corrected"):
        assert gone not in said
    assert "No row was refused." in said


def test_remarks_that_differ_by_a_number_are_said_once(report_tables: ReportFrames) -> None:
    names = report_tables["runs"]["strategy"].to_list()
    notes = {name: f"no impact; scaled on {100 + n} bars" for n, name in enumerate(names)}
    runs = report_tables["runs"].with_columns(
        notes=pl.col("strategy").replace_strict(notes, return_dtype=pl.String)
    )
    said = texts(changed(report_tables, runs=runs))
    assert "All runs: no impact." in said
    # The index comes last and is no run of its own: 100 to 109, not 110.
    assert "All runs: scaled on 100 to 109 bars." in said


def test_families_kept_back_for_being_synthetic_say_so(report_tables: ReportFrames) -> None:
    assert "Family sentiment: all features are null on us20; documents are all SYNTHETIC" in texts(
        report_tables
    )
    real = report_tables["documents"].with_columns(label=pl.lit("REAL"))
    said = texts(changed(report_tables, documents=real))
    assert "Family sentiment: all features are null on us20; the inputs they need" in said


def test_a_missing_table_is_named(report_tables: ReportFrames) -> None:
    said = texts(changed(report_tables, simulations=CONTRACTS["simulations"].empty()))
    assert "risk.simulations holds no rows" in said


def test_null_families_are_those_no_model_saw(report_tables: ReportFrames) -> None:
    found = {
        name: (missing, total) for name, missing, total in null_families(report_tables, "us20")
    }
    assert "technical" not in found
    read = set(TradingConfig().models.feature_families)
    assert set(found) == read - {"technical"}
    # One feature of a family with values: only the rest is missing.
    name = features.feature_names("volatility")[0]
    some = report_tables["training_set"].with_columns(pl.lit(0.2).alias(name))
    partly = {
        n: (m, t) for n, m, t in null_families(changed(report_tables, training_set=some), "us20")
    }
    missing, total = partly["volatility"]
    assert missing == total - 1
    assert null_families(changed(report_tables, training_set=some.clear()), "us20") == []


def test_only_the_newest_answer_of_a_gate_counts(report_tables: ReportFrames) -> None:
    later = report_frames.NOW.replace(year=2025)
    passed = fill(
        CONTRACTS["gates"],
        [{"subject": "ridge", "gate": "deflated_sharpe", "run_id": "b", "passed": True,
          "recorded_at": later}],
    )  # fmt: skip
    both = pl.concat([report_tables["gates"], passed])
    assert "Gate deflated_sharpe" not in texts(changed(report_tables, gates=both))


def test_the_message_of_a_weak_check_ends_with_one_full_stop(report_tables: ReportFrames) -> None:
    said = texts(report_tables)
    expected = (
        "Check stale_prices on raw.bars_sample: not met. 3 symbols stand still for 10 sessions."
    )
    assert expected in said.splitlines()
    assert ".." not in said
    assert ".)." not in said


def test_a_generated_market_is_the_first_thing_said(report_tables: ReportFrames) -> None:
    assert "universe synthetic" not in texts(report_tables)
    members = pl.DataFrame({"universe": "synthetic", "symbol": ["SYN001", "SYN002"]})
    empty = CONTRACTS["instruments"].empty()
    frames = changed(
        report_tables,
        instruments=pl.concat(
            [report_tables["instruments"], pl.concat([empty, members], how="diagonal")]
        ),
    )
    plants = {"edge_correlation": 0.05, "outage_minutes": 30}
    config = TradingConfig(sources={"synthetic": {"enabled": True, "seed": 9, **plants}})
    first = caveats(frames, make_context(config))[0]
    assert first.text.startswith("SYNTHETIC: 2 instruments of universe synthetic")
    assert "seed 9, planted: an edge of correlation 0.05, an outage of 30 minutes" in first.text
    assert "generated by an earlier run" in texts(frames)
    named = config.model_copy(update={"universe": UniverseSection(main="synthetic")})
    assert banner(named) == "SYNTHETIC: every price is generated · quick: no verdict on deep models"
    assert banner(config) == "quick: no verdict on deep models"
    everything = caveats(frames, make_context(named))[0]
    assert everything.text.startswith("Every figure that rests on universe synthetic is SYNTHETIC")
