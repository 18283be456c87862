"""`table_asset` on a real DuckDB: what is committed, refused, re-used, and never lost."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import dagster as dg
import polars as pl
import pytest

from btq_assets.config import TradingConfig
from btq_assets.contracts import house, quarantine
from btq_assets.contracts.base import RowRule, TableContract
from btq_assets.contracts.checks import CheckOutcome, frame_check
from btq_assets.contracts.columns import SYMBOL, TS, number
from btq_assets.warehouse import Step, TableOutput, Warehouse, WarehouseError, table_asset
from btq_assets.warehouse.paths import DataPaths
from btq_assets.warehouse.resources import ConfigResource, DeviceResource, WarehouseResource

PRICES = TableContract(
    layer="raw",
    name="prices",
    description="Prices.",
    columns=(
        SYMBOL,
        TS,
        number("price", "Price.", minimum=0, exclusive_minimum=True, nullable=False),
    ),
    key=("symbol", "ts"),
    append_only=True,
    max_rejected_fraction=0.5,
    rules=(RowRule("price above 1000", pl.col("price") > 1000),),
)
DOUBLED = TableContract(
    layer="features",
    name="doubled",
    description="Twice the price.",
    columns=(SYMBOL, TS, number("doubled", "Twice the price.", nullable=False)),
    key=("symbol", "ts"),
)
STAMP = dt.datetime(2020, 1, 2, 21, tzinfo=dt.UTC)


def rows(*prices: float, start: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "symbol": ["A"] * len(prices),
            "ts": [STAMP + dt.timedelta(days=start + i) for i in range(len(prices))],
            "price": prices,
        },
        schema={"symbol": pl.String, "ts": pl.Datetime("us", "UTC"), "price": pl.Float64},
    )


def source(frame: pl.DataFrame, version: str = "1"):
    @table_asset(outputs=(PRICES,), source_version=lambda config: version)
    def prices(step: Step) -> TableOutput:
        """Prices."""
        return TableOutput(frame)

    return prices


CALLS: list[str] = []


@table_asset(
    outputs=(DOUBLED,),
    inputs={"prices": PRICES},
    config=("features",),
    checks=(
        frame_check(
            "below_500",
            "No doubled price is 500 or more.",
            lambda context: CheckOutcome(
                "below_500",
                (context.frame["doubled"] < 500).all(),
                f"largest is {context.frame['doubled'].max()}",
            ),
        ),
        frame_check(
            "below_100",
            "No doubled price is 100 or more.",
            lambda context: CheckOutcome("below_100", (context.frame["doubled"] < 100).all()),
            blocking=False,
        ),
    ),
)
def doubled(step: Step, prices: pl.DataFrame) -> TableOutput:
    """Twice the price."""
    CALLS.append("doubled")
    return TableOutput(
        prices.select("symbol", "ts", doubled=pl.col("price") * 2), plots={"p": b"png"}
    )


@pytest.fixture
def run(tmp_path):
    CALLS.clear()

    def execute(
        *assets, config: TradingConfig | None = None, raise_on_error: bool = True, **options
    ):
        config = config or TradingConfig()
        return dg.materialize(
            [asset.definition(config) for asset in assets],
            resources={
                "trading": ConfigResource.of(config),
                "warehouse": WarehouseResource(path=str(tmp_path), lock_timeout_s=5),
                "device": DeviceResource(device="cpu"),
            },
            raise_on_error=raise_on_error,
            **options,
        )

    execute.warehouse = Warehouse(DataPaths(tmp_path), 5)
    return execute


def test_rows_flow_from_source_to_derived_table_with_schema_and_checks(run):
    result = run(source(rows(1.0, 2.0)), doubled)
    assert result.success
    assert run.warehouse.read(DOUBLED)["doubled"].to_list() == [2.0, 4.0]
    materialization = result.asset_materializations_for_node("features__doubled")[0]
    assert materialization.metadata["dagster/row_count"].value == 2
    assert {check.check_name for check in result.get_asset_check_evaluations()} == {
        "contract",
        "below_500",
        "below_100",
    }
    books = run.warehouse.read(house.PROVENANCE)
    assert books["table_name"].to_list() == ["features.doubled", "raw.prices"]


def test_a_step_computes_with_one_thread_of_linear_algebra_whatever_the_machine_has(run):
    """What threadpoolctl sees within a step, and that the caller gets its threads back."""
    from threadpoolctl import threadpool_info, threadpool_limits

    seen: list[int] = []

    def threads() -> list[int]:
        return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]

    @table_asset(outputs=(PRICES,), source_version=lambda config: "1")
    def prices(step: Step) -> TableOutput:
        """Prices."""
        seen.extend(threads())
        return TableOutput(rows(1.0))

    with threadpool_limits(2, user_api="blas"):
        before = threads()
        assert run(prices).success
        assert seen
        assert set(seen) == {1}
        assert threads()[: len(before)] == before


def test_unchanged_inputs_are_reused_and_a_changed_row_recomputes(run):
    run(source(rows(1.0, 2.0)), doubled)
    second = run(source(rows(1.0, 2.0)), doubled)
    assert CALLS == ["doubled"]
    assert second.asset_materializations_for_node("features__doubled")[0].metadata["reused"].value
    run(source(rows(3.0, start=5), version="2"), doubled)
    assert CALLS == ["doubled", "doubled"]
    assert run.warehouse.read(DOUBLED)["doubled"].to_list() == [2.0, 4.0, 6.0]


def test_a_warning_stands_until_rows_arrive_that_can_be_judged(run):
    def prices(*found: float, version: str, start: int = 0):
        cheap = frame_check(
            "cheap",
            "No price is 50 or more.",
            lambda context: CheckOutcome("cheap", (context.frame["price"] < 50).all(), "judged"),
            blocking=False,
        )

        @table_asset(outputs=(PRICES,), source_version=lambda config: version, checks=(cheap,))
        def prices(step: Step) -> TableOutput:
            """Prices."""
            return TableOutput(rows(*found, start=start))

        return prices

    def cheap(result) -> bool:
        answers = {c.check_name: c.passed for c in result.get_asset_check_evaluations()}
        assert answers["contract"]
        return answers["cheap"]

    assert not cheap(run(prices(1.0, 60.0, version="1")))
    assert not cheap(run(prices(version="2")))
    assert not cheap(run(prices(version="3")))
    assert cheap(run(prices(2.0, version="4", start=9)))


def test_a_reused_table_keeps_its_plots_and_names_the_run_that_drew_them(run):
    with dg.DagsterInstance.ephemeral() as instance:
        first = run(source(rows(1.0, 2.0)), doubled, instance=instance)
        for _ in range(2):
            again = run(source(rows(1.0, 2.0)), doubled, instance=instance)
            told = again.asset_materializations_for_node("features__doubled")[0].metadata
            assert "data:image/png;base64," in told["plot: p"].value
            assert told["reused"].value
            assert told["computed_by_run"] == dg.MetadataValue.dagster_run(first.run_id)
    assert CALLS == ["doubled"]


@pytest.mark.parametrize(
    "config",
    [
        TradingConfig(features={"sentiment_half_life_sessions": 9.0}),
        TradingConfig(warehouse={"force_recompute": True}),
    ],
)
def test_changed_configuration_or_force_recomputes(run, config):
    run(source(rows(1.0)), doubled)
    run(source(rows(1.0)), doubled, config=config)
    assert CALLS == ["doubled", "doubled"]


def test_configuration_of_another_room_does_not_recompute(run):
    run(source(rows(1.0)), doubled)
    run(source(rows(1.0)), doubled, config=TradingConfig(risk={"seed": 1}))
    assert CALLS == ["doubled"]


def test_impossible_rows_go_to_quarantine_with_their_reason_and_the_rest_is_kept(run):
    frame = pl.concat(
        [rows(1.0, -2.0, float("nan"), 2000.0, 5.0, 6.0, 7.0), rows(8.0, 8.5, start=20)]
    )
    run(source(frame))
    assert run.warehouse.read(PRICES)["price"].to_list() == [1.0, 5.0, 6.0, 7.0, 8.0, 8.5]
    refused = run.warehouse.read(quarantine.ROWS)
    assert sorted(refused["reason"]) == [
        "price <= 0",
        "price above 1000",
        "price is not finite; price above 1000",
    ]
    run(source(frame, version="again"))
    assert run.warehouse.read(quarantine.ROWS).height == 3, "the same bad row is kept once"


def test_duplicate_keys_are_all_refused(run):
    run(source(pl.concat([rows(1.0, 2.0, 3.0), rows(9.0)])))
    assert run.warehouse.read(PRICES)["price"].to_list() == [2.0, 3.0]
    assert set(run.warehouse.read(quarantine.ROWS)["reason"]) == {"duplicate key (symbol, ts)"}


def test_too_many_bad_rows_refuse_the_commit_and_leave_what_was_stored(run):
    run(source(rows(1.0, 2.0)))
    result = run(source(rows(-1.0, -2.0, 3.0, start=9), version="2"), raise_on_error=False)
    assert not result.success
    assert run.warehouse.read(PRICES)["price"].to_list() == [1.0, 2.0]
    assert run.warehouse.read(quarantine.ROWS).height == 2, "the refused rows are not lost"


def test_failed_blocking_check_stores_the_red_check_and_no_materialization(run):
    run(source(rows(1.0)), doubled)
    result = run(source(rows(400.0, start=3), version="2"), doubled, raise_on_error=False)
    assert not result.success
    red = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert {check.check_name for check in red} == {"below_500", "below_100"}
    assert next(c for c in red if c.check_name == "below_500").description == "largest is 800.0"
    assert not result.asset_materializations_for_node("features__doubled")
    assert run.warehouse.read(DOUBLED)["doubled"].to_list() == [2.0]


def test_failed_warning_commits_and_shows_red(run):
    result = run(source(rows(60.0)), doubled)
    assert result.success
    assert [c.check_name for c in result.get_asset_check_evaluations() if not c.passed] == [
        "below_100"
    ]
    assert run.warehouse.read(DOUBLED).height == 1


def test_append_only_keeps_the_first_value_of_a_key(run):
    run(source(rows(1.0)))
    run(source(rows(7.0), version="2"))
    assert run.warehouse.read(PRICES)["price"].to_list() == [1.0]


def test_wrong_columns_are_named(run):
    with pytest.raises(Exception, match=r"missing column\(s\) \['price'\]"):
        run(source(rows(1.0).drop("price")))


def test_naive_times_are_refused_by_name(run):
    with pytest.raises(Exception, match=r"raw.prices.ts has no time zone"):
        run(source(rows(1.0).with_columns(pl.col("ts").dt.replace_time_zone(None))))


def test_missing_upstream_is_named(run):
    with pytest.raises(Exception, match="does not exist yet"):
        run(doubled)


def test_locked_database_gives_a_named_error_and_loses_nothing(run, tmp_path):
    run(source(rows(1.0)))
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(run.warehouse.paths.working_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(WarehouseError, match="held open by another process"):
        Warehouse(DataPaths(tmp_path), 0.5).read(PRICES)
    holder.communicate("\n")
    assert run.warehouse.read(PRICES).height == 1


def test_parameters_must_match_inputs():
    with pytest.raises(ValueError, match="its inputs are"):

        @table_asset(outputs=(DOUBLED,), inputs={"prices": PRICES})
        def wrong(step: Step, bars: pl.DataFrame) -> TableOutput:
            """Never runs."""
            return TableOutput(bars)


def test_a_ledger_that_grew_recomputes_what_reads_it(run):
    @table_asset(outputs=(DOUBLED,), ledgers=(quarantine.ROWS,))
    def refused(step: Step) -> TableOutput:
        """Count what was refused."""
        CALLS.append("refused")
        n_rows = step.read_ledger(quarantine.ROWS).height
        return TableOutput(
            pl.DataFrame({"symbol": ["A"], "ts": [STAMP], "doubled": [float(n_rows)]})
        )

    run(source(rows(1.0)))
    run(refused)
    run(refused)
    assert CALLS == ["refused"]
    run(source(rows(-1.0, 2.0, 3.0, start=5), version="2"), refused)
    run(refused)
    assert CALLS == ["refused", "refused"]
    assert run.warehouse.read(DOUBLED)["doubled"].to_list() == [1.0]


def test_what_a_step_wrote_beside_the_warehouse_must_still_be_there(run, tmp_path):
    page = tmp_path / "page.html"

    @table_asset(outputs=(DOUBLED,), reuse=lambda paths: (paths.root / page.name).is_file())
    def written(step: Step) -> TableOutput:
        """Write a page and its row."""
        CALLS.append("written")
        page.write_text("page")
        return TableOutput(pl.DataFrame({"symbol": ["A"], "ts": [STAMP], "doubled": [1.0]}))

    run(written)
    run(written)
    assert CALLS == ["written"]
    page.unlink()
    run(written)
    assert CALLS == ["written", "written"]
    assert page.is_file()


@pytest.mark.parametrize("says_last", [True, False])
def test_books_of_a_step_in_parts_are_closed_whether_or_not_it_says_which_is_last(
    run, tmp_path, says_last
):
    @table_asset(outputs=(PRICES,), source_version=lambda config: "1")
    def prices(step: Step):
        """Prices, in two parts."""
        CALLS.append("prices")
        yield TableOutput(rows(1.0, 2.0))
        yield TableOutput(rows(3.0, start=2), last=says_last)

    for _ in range(2):
        assert run(prices).success
    assert CALLS == ["prices"], "the second run finds closed books"
    warehouse = Warehouse(DataPaths(tmp_path))
    assert warehouse.read(PRICES)["price"].to_list() == [1.0, 2.0, 3.0]


def test_a_step_that_breaks_after_what_it_called_last_runs_again(run):
    @table_asset(outputs=(PRICES,), source_version=lambda config: "1")
    def prices(step: Step):
        """Prices, in two parts, the first wrongly called the last."""
        CALLS.append("prices")
        yield TableOutput(rows(1.0), last=True)
        yield TableOutput(rows(2.0, start=1))
        if len(CALLS) == 1:
            raise RuntimeError("broken off")

    assert not run(prices, raise_on_error=False).success
    assert run(prices).success
    assert CALLS == ["prices", "prices"]
