"""Sweeps planted in generated trades are found, and nothing else."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from btq_assets.config.sources import OptionSweepsSection
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.core_alternative import OPTION_SWEEPS, OPTION_TRADES
from btq_assets.sources.alternative.option_sweeps import SweepFinder, option_sweeps

START = dt.datetime(2024, 6, 3, 12, tzinfo=dt.UTC)
LAG = dt.timedelta(seconds=5)
SETTINGS = OptionSweepsSection(window_ms=250, min_prints=3, min_prices=2)


def trades(*prints: dict, contract: str = "BTC-28JUN24-70000-C") -> pl.DataFrame:
    """Prints given by ``ms`` from the start, side and price; other columns have plain values."""
    rows = []
    for number, given_cells in enumerate(prints):
        cells = dict(given_cells)
        ts = START + dt.timedelta(milliseconds=cells.pop("ms"))
        rows.append(
            {
                "source": "deribit", "dataset": "deribit", "underlying": "BTC",
                "contract_id": contract, "kind": "call", "strike": 70_000.0,
                "expiry": dt.date(2024, 6, 28), "trade_id": f"{contract}#{number}",
                "expires_at": dt.datetime(2024, 6, 28, 8, tzinfo=dt.UTC), "trade_seq": number,
                "ts": ts, "known_at": ts + LAG, "price": 0.05, "amount": 1.0, "side": "buy",
                "iv_provider": 0.6, "index_price": 60_000.0, "premium_unit": "underlying",
                "currency": "USD",
            } | cells
        )  # fmt: skip
    return pl.DataFrame(rows, schema=OPTION_TRADES.schema)


def sweeps(frame: pl.DataFrame, chosen: OptionSweepsSection = SETTINGS) -> pl.DataFrame:
    found = option_sweeps(frame, chosen)
    assert violations(cast_to_contract(found, OPTION_SWEEPS), OPTION_SWEEPS).is_empty()
    return found


RISING = [
    {"ms": 0, "price": 0.050, "amount": 1.0, "iv_provider": 0.60},
    {"ms": 0, "price": 0.050, "amount": 2.0, "index_price": 60_100.0},
    {"ms": 90, "price": 0.0515, "amount": 0.5, "iv_provider": 0.63},
]


def test_a_sweep_by_hand():
    (row,) = sweeps(trades(*RISING)).rows(named=True)
    assert (row["side"], row["n_prints"], row["n_prices"], row["amount"]) == ("buy", 3, 2, 3.5)
    assert (row["first_price"], row["last_price"], row["duration_ms"]) == (0.05, 0.0515, 90)
    # 0.05 x 1 x 60 000 + 0.05 x 2 x 60 100 + 0.0515 x 0.5 x 60 000 = 3 000 + 6 010 + 1 545.
    assert row["premium"] == pytest.approx(10_555.0)
    assert (row["first_iv"], row["last_iv"]) == (0.60, 0.63)
    assert (row["started_at"], row["ts"]) == (START, START + dt.timedelta(milliseconds=90))
    # The last print is known after 5 s, and 250 ms later no further one can have joined.
    assert row["known_at"] == row["ts"] + dt.timedelta(seconds=5, milliseconds=250)
    assert (row["first_trade_id"][-1], row["last_trade_id"][-1]) == ("0", "2")


def test_premiums_in_currency_and_unknown_indices():
    linear = trades(*RISING).with_columns(premium_unit=pl.lit("currency"))
    assert sweeps(linear)["premium"][0] == pytest.approx(0.05 * 3 + 0.0515 * 0.5)
    blind = trades(*RISING[:2], RISING[2] | {"index_price": None})
    assert sweeps(blind)["premium"].to_list() == [None]
    large = SETTINGS.model_copy(update={"min_premium": 10_556.0})
    assert sweeps(trades(*RISING), large).is_empty()
    # What is unknown is not taken for small.
    assert sweeps(blind, large).height == 1


@pytest.mark.parametrize(
    ("prints", "why"),
    [
        ([*RISING[:2], RISING[2] | {"side": "sell"}], "two sides"),
        ([*RISING[:2], RISING[2] | {"ms": 251}], "a pause"),
        ([*RISING[:2], RISING[2] | {"price": 0.05}], "one price"),
        ([*RISING[:2], RISING[2] | {"price": 0.0485}], "a buyer who pays less and less"),
        ([RISING[0], RISING[2]], "two prints"),
        ([*RISING[:2], RISING[2] | {"block_trade_id": "BLOCK-1"}], "a block"),
        ([*RISING[:2], RISING[2] | {"combo_id": "BTC-CS-28JUN24-70000_80000"}], "a leg"),
        ([RISING[0], RISING[1] | {"side": "sell"}, RISING[2], RISING[2]], "the other side between"),
    ],
)
def test_what_is_no_sweep(prints, why):
    assert sweeps(trades(*prints)).is_empty(), why


def test_sellers_sweep_downwards_and_contracts_are_kept_apart():
    falling = [cells | {"side": "sell", "price": 0.1 - cells["price"]} for cells in RISING]
    assert sweeps(trades(*falling))["side"].to_list() == ["sell"]
    halves = pl.concat([trades(*RISING[:2]), trades(RISING[2], contract="BTC-28JUN24-80000-C")])
    assert sweeps(halves).is_empty()


def test_a_block_between_two_prints_does_not_part_them():
    block = {"ms": 40, "price": 0.9, "side": "sell", "block_trade_id": "BLOCK-1"}
    assert sweeps(trades(*RISING[:2], block, RISING[2]))["n_prints"].to_list() == [3]


def market(seed: int, n_sweeps: int) -> tuple[pl.DataFrame, set[tuple[str, str, int]]]:
    """A day of ordinary prints a second or more apart, with sweeps planted at known places."""
    random = np.random.default_rng(seed)
    parts, planted = [], set()
    names = [f"BTC-28JUN24-{strike}000-C" for strike in range(60, 80, 2)]
    for number, name in enumerate(names):
        at, prints = 0, []
        mine = set(random.choice(60, n_sweeps, replace=False).tolist())
        for event in range(60):
            at += int(random.integers(1_000, 600_000))
            price = round(float(random.uniform(0.02, 0.08)), 4)
            side = "buy" if random.random() < 0.5 else "sell"
            if event not in mine:
                # An order filled by several makers at one price, or a lone print.
                for _ in range(int(random.integers(1, 5))):
                    prints.append({"ms": at, "price": price, "side": side})
                continue
            planted.add((name, side, at))
            ms = at
            for level in range(int(random.integers(3, 7))):
                step = 0.0005 * level * (1 if side == "buy" else -1)
                prints.append({"ms": ms, "price": round(price + step, 4), "side": side})
                ms += int(random.integers(0, 251))
        parts.append(trades(*prints, contract=name))
        assert number < len(names)
    return pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=seed), planted


@pytest.mark.parametrize("seed", range(5))
def test_planted_sweeps_are_found_and_nothing_else(seed):
    frame, planted = market(seed, 4)
    found = sweeps(frame)
    started = ((found["started_at"] - START).dt.total_milliseconds()).to_list()
    assert set(zip(found["contract_id"], found["side"], started, strict=True)) == planted
    assert found.height == len(planted) == 40
    none, _ = market(seed, 0)
    assert sweeps(none).is_empty()


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.sampled_from(["buy", "sell"]), st.sampled_from([1, 2, 3])
        ),
        max_size=25,
    ),
    st.integers(0, 12_000),
)
def test_what_is_printed_later_changes_no_sweep_known_before(steps, until_ms):
    """Truncation: the sweeps known at a time are those of the trades known at that time."""
    ms, prints = 0, []
    for gap, side, ticks in steps:
        ms += gap
        prints.append({"ms": ms, "side": side, "price": ticks / 100})
    frame = trades(*prints)
    until = START + dt.timedelta(milliseconds=until_ms)
    then = sweeps(frame).filter(pl.col("known_at") <= until)
    part = sweeps(frame.filter(pl.col("known_at") <= until)).filter(pl.col("known_at") <= until)
    assert_frame_equal(part, then)


def test_no_trades_make_an_empty_table():
    assert sweeps(OPTION_TRADES.empty()).is_empty()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("minutes", [1, 37, 240])
def test_sweeps_of_stretches_are_those_of_the_whole_at_once(seed, minutes):
    """However the day is cut, between the prints of a sweep too."""
    frame, planted = market(seed, 8)
    stretches = [
        part
        for _, part in frame.sort("ts").group_by(
            pl.col("ts").dt.truncate(f"{minutes}m"), maintain_order=True
        )
    ]
    finder = SweepFinder(SETTINGS)
    last = len(stretches) - 1
    found = [finder.found(part, last=place == last) for place, part in enumerate(stretches)]
    assert_frame_equal(pl.concat(found).sort(OPTION_SWEEPS.key), sweeps(frame))
    assert sum(part.height for part in found) == len(planted)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.sampled_from(["buy", "sell"]), st.sampled_from([1, 2, 3])
        ),
        max_size=25,
    ),
    st.lists(st.integers(0, 6_000), max_size=4),
)
def test_no_cut_between_two_prints_parts_a_sweep(steps, cuts):
    ms, prints = 0, []
    for gap, side, ticks in steps:
        ms += gap
        prints.append({"ms": ms, "side": side, "price": ticks / 100})
    frame = trades(*prints)
    edges = [START + dt.timedelta(milliseconds=cut) for cut in sorted(cuts)]
    finder, parts, since = SweepFinder(SETTINGS), [], START
    for until in edges:
        part = frame.filter(pl.col("ts").is_between(since, until, closed="left"))
        parts.append(finder.found(part, last=False))
        since = until
    parts.append(finder.found(frame.filter(pl.col("ts") >= since), last=True))
    assert_frame_equal(pl.concat(parts).sort(OPTION_SWEEPS.key), sweeps(frame))
