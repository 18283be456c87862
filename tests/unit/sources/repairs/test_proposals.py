"""Each kind of repair: data that must be proposed, with what, and data that must not."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from btq_assets.contracts import quality, raw
from btq_assets.contracts.base import cast_to_contract, violations
from btq_assets.contracts.raw.market import CORPORATE_ACTIONS_YAHOO
from btq_assets.sources.repairs.proposals import propose, propose_in_slices

NOW = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
START = dt.datetime(2020, 1, 6, 21, tzinfo=dt.UTC)
N = 300
DAYS = [day for day in (START + dt.timedelta(days=i) for i in range(2 * N)) if day.weekday() < 5][
    :N
]


def walk(seed: int = 1, sigma: float = 0.01) -> np.ndarray:
    return 50 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, sigma, N)))


def bars(
    close: Sequence[float] | np.ndarray,
    symbol: str = "A",
    *,
    adjusted: Sequence[float] | np.ndarray | None = None,
    volume: Sequence[float] | np.ndarray | float = 1e6,
    dataset: str = "d",
    freq: str = "1d",
) -> pl.DataFrame:
    close = np.asarray(close)
    return cast_to_contract(
        pl.DataFrame(
            {
                "dataset": dataset,
                "symbol": symbol,
                "freq": freq,
                "ts": DAYS,
                "known_at": DAYS,
                "known_at_basis": "assumed_lag",
                "open": close,
                "high": close * 1.01,
                "low": close * 0.99,
                "close": close,
                "adj_close": None if adjusted is None else np.asarray(adjusted),
                "volume": volume,
                "currency": "USD",
            }
        ),
        raw.BARS_YAHOO,
    )


def actions(*rows: tuple[int, str, float], basis: str = "split_adjusted") -> pl.DataFrame:
    return cast_to_contract(
        pl.DataFrame(
            {
                "dataset": "d",
                "symbol": "A",
                "ex_date": [DAYS[place].date() for place, _, _ in rows],
                "kind": [kind for _, kind, _ in rows],
                "known_at": [DAYS[place] for place, _, _ in rows],
                "known_at_basis": "assumed_lag",
                "value": [value for _, _, value in rows],
                "currency": "USD",
                "basis": basis,
            }
        ),
        CORPORATE_ACTIONS_YAHOO,
    )


def proposed(
    *frames: pl.DataFrame, events: pl.DataFrame | None = None, **settings: object
) -> pl.DataFrame:
    found = propose(
        {"raw.bars_yahoo": pl.concat(frames)},
        {} if events is None else {"raw.corporate_actions_yahoo": events},
        now=NOW,
        **settings,
    )
    assert found.schema == quality.REPAIRS.schema
    assert violations(found, quality.REPAIRS).is_empty()
    return found


def changed(values: np.ndarray, first: int, last: int, factor: float) -> np.ndarray:
    values = values.copy()
    values[first : last + 1] *= factor
    return values


def test_a_plain_walk_needs_no_repair() -> None:
    for seed in range(5):
        assert proposed(bars(walk(seed, 0.03), adjusted=walk(seed, 0.03) / 2)).is_empty()
    assert proposed(raw.BARS_YAHOO.empty()).is_empty()


@pytest.mark.parametrize(("factor", "mend"), [(100.0, 0.01), (0.01, 100.0)])
def test_bars_in_another_unit_are_scaled_back(factor: float, mend: float) -> None:
    close = walk()
    found = proposed(bars(changed(close, 100, 102, factor)))
    assert set(found["kind"]) == {"unit_100x"}
    # Open, high, low and close each tell the same; volume is in shares and stays.
    assert set(found["column_name"]) == {"open", "high", "low", "close"}
    row = found.row(by_predicate=pl.col("column_name") == "close", named=True)
    assert (row["from_ts"], row["to_ts"], row["n_bars"]) == (DAYS[100], DAYS[102], 3)
    assert row["factor"] == mend
    assert row["before"] == pytest.approx(close[100] * factor)
    assert row["after"] == pytest.approx(close[100])
    assert row["confidence"] >= 0.99
    # Nobody could have known before the price came back.
    assert row["evidence_known_at"] == DAYS[103]
    assert json.loads(row["key_json"])["ts"] == DAYS[100].isoformat()
    assert not row["applied"]


def test_a_unit_that_never_comes_back_is_a_guess() -> None:
    late = proposed(bars(changed(walk(), 250, N - 1, 100))).filter(column_name="close")
    assert late["from_ts"].to_list() == [DAYS[250]]
    assert late["factor"].to_list() == [0.01]
    assert late["confidence"].to_list() == [0.6]
    early = proposed(bars(changed(walk(), 0, 49, 100))).filter(column_name="close")
    assert early.select("from_ts", "to_ts", "factor").rows() == [(DAYS[0], DAYS[49], 0.01)]


def test_one_column_alone_is_mended_alone() -> None:
    close = walk()
    wrong = bars(close, adjusted=changed(close, 100, 100, 0.01))
    assert proposed(wrong).select("column_name", "kind", "factor").rows() == [
        ("adj_close", "unit_100x", 100.0)
    ]


def test_a_whole_ratio_without_an_announcement_is_a_likely_missed_split() -> None:
    # The split day itself moves by nothing but the split.
    close = walk()
    close[150:] *= close[149] / close[150] / 3
    found = proposed(bars(close, adjusted=close))
    (row,) = found.to_dicts()
    assert (row["kind"], row["column_name"]) == ("missed_split", "adj_close")
    assert row["factor"] == pytest.approx(1 / 3)
    assert (row["from_ts"], row["to_ts"], row["n_bars"]) == (DAYS[0], DAYS[149], 150)
    assert row["confidence"] == pytest.approx(0.85)
    assert "from a split of 3 for 1; none is announced" in row["evidence"]


def test_without_an_adjusted_close_prices_and_volume_are_scaled() -> None:
    close = changed(walk(), 150, N - 1, 0.5)
    found = proposed(bars(close), events=actions((150, "split", 2.0)))
    factors = dict(found.select("column_name", "factor").rows())
    assert factors == {"open": 0.5, "high": 0.5, "low": 0.5, "close": 0.5, "volume": 2.0}
    assert set(found["confidence"]) == {0.99}


def test_a_column_the_series_lacks_is_not_mended() -> None:
    bare = bars(changed(walk(), 150, N - 1, 0.5)).with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in ("open", "high", "low", "volume")
    )
    assert proposed(bare, events=actions((150, "split", 2.0)))["column_name"].to_list() == ["close"]


def test_a_price_as_traded_may_move_by_its_split() -> None:
    close = changed(walk(), 150, N - 1, 0.5)
    assert proposed(bars(close), events=actions((150, "split", 2.0), basis="as_traded")).is_empty()


def test_a_split_taken_twice_is_told_from_one_missed() -> None:
    doubled = changed(walk(), 0, 149, 1 / 4)
    (row,) = proposed(
        bars(walk(), adjusted=doubled), events=actions((150, "split", 4.0))
    ).to_dicts()
    assert row["kind"] == "double_split"
    assert row["factor"] == pytest.approx(4.0)
    right = bars(walk(), adjusted=walk())
    assert proposed(right, events=actions((150, "split", 4.0))).is_empty()


def test_a_split_of_three_for_two_needs_an_announcement() -> None:
    """Companies lose a third of their value on bad news."""
    close = changed(walk(), 150, N - 1, 2 / 3)
    assert proposed(bars(close, adjusted=close)).is_empty()
    told = proposed(bars(close, adjusted=close), events=actions((150, "split", 1.5)))
    assert told["kind"].to_list() == ["missed_split"]


def test_a_fall_by_half_that_another_source_shows_is_no_split() -> None:
    close = walk()
    close[150:] *= close[149] / close[150] / 2
    other = close * 7
    both = proposed(bars(close, adjusted=close), bars(other, adjusted=other, dataset="e"))
    assert both["confidence"].max() < 0.25
    # A second source that did not move says the contrary.
    calm = proposed(bars(close, adjusted=close), bars(walk(), adjusted=walk(), dataset="e"))
    assert calm["confidence"].to_list() == [pytest.approx(0.95)]


def test_a_fall_by_half_amid_a_crowd_of_trades_is_no_split() -> None:
    close = walk()
    close[150:] *= close[149] / close[150] / 2
    volume = np.full(N, 1e6)
    volume[150] = 2e7
    (row,) = proposed(bars(close, adjusted=close, volume=volume)).to_dicts()
    assert row["confidence"] == pytest.approx(0.4 * 0.85, abs=0.01)
    assert "volume was 20 times the usual" in row["evidence"]


def test_a_missed_dividend_is_seen_in_the_adjustment_factor() -> None:
    close = walk()
    events = actions((150, "dividend", 1.0), (200, "dividend", 2.0))
    taken = close.copy()
    taken[:150] *= 1 - 1.0 / close[149]
    (row,) = proposed(bars(close, adjusted=taken), events=events).to_dicts()
    assert row["kind"] == "missed_dividend"
    assert row["factor"] == pytest.approx(1 - 2.0 / close[199])
    assert (row["from_ts"], row["to_ts"]) == (DAYS[0], DAYS[199])
    # Applied, the factor steps by both.
    mended = taken[:200] * row["factor"]
    assert mended[0] / close[0] == pytest.approx((1 - 1 / close[149]) * (1 - 2 / close[199]))
    whole = taken.copy()
    whole[:200] *= 1 - 2.0 / close[199]
    assert proposed(bars(close, adjusted=whole), events=events).is_empty()


def test_a_tick_that_comes_and_goes_is_left_missing() -> None:
    close = changed(walk(), 150, 150, 1.3)
    found = proposed(bars(close))
    assert found.select("kind", "column_name", "after", "factor").rows() == [
        ("bad_tick", "close", None, None)
    ]
    assert found["evidence_known_at"].to_list() == [DAYS[151]]


def test_a_crash_and_rebound_of_the_whole_market_is_no_tick() -> None:
    frames = [bars(changed(walk(seed), 150, 150, 0.75), f"S{seed}") for seed in range(8)]
    assert proposed(*frames).is_empty()
    # The same in a single member of a calm market is.
    calm = [bars(walk(seed), f"S{seed}") for seed in range(1, 8)]
    assert proposed(frames[0], *calm)["symbol"].to_list() == ["S0"]


def test_nothing_is_applied_unless_the_configuration_says_so() -> None:
    frame = bars(changed(changed(walk(), 100, 100, 100), 200, 200, 1.3))
    assert not proposed(frame)["applied"].any()
    chosen = proposed(frame, apply=("unit_100x",), min_confidence=0.95)
    assert set(chosen.filter("applied")["kind"]) == {"unit_100x"}
    strict = proposed(frame, apply=("unit_100x", "bad_tick"), min_confidence=1.0)
    assert not strict["applied"].any()


def test_a_corrected_vintage_withdraws_the_proposal() -> None:
    wrong = bars(changed(walk(), 100, 100, 100))
    right = (
        bars(walk())
        .slice(100, 1)
        .with_columns(known_at=pl.lit(NOW), known_at_basis=pl.lit("recorded"))
    )
    assert proposed(wrong).height
    assert proposed(wrong, right).is_empty()


def test_a_proposal_made_before_keeps_its_time() -> None:
    frame = bars(changed(walk(), 100, 100, 100))
    first = proposed(frame)
    later = propose({"raw.bars_yahoo": frame}, {}, now=NOW + dt.timedelta(days=9), earlier=first)
    assert later.equals(first)


def test_the_bundled_sample_has_one_suspect_and_one_real_crash() -> None:
    """Range Resources fell to a third on 1990-04-10 after 69 equal closes: 3.322 to 1.107, which is
    a third to the last digit. Apple fell by 51.9 % on 2000-09-29 on a profit warning, with 22 times
    its usual volume, in two datasets.
    """
    from btq_assets.sources.market.providers.sample import read_sample

    sample = cast_to_contract(read_sample().rows, raw.BARS_SAMPLE)
    found = propose({"raw.bars_sample": sample}, {}, now=NOW)
    assert found.select("symbol", "dataset", "kind").sort("symbol", "dataset").rows() == [
        ("AAPL", "bokeh_stocks", "missed_split"),
        ("AAPL", "skfolio_sp500_dataset", "missed_split"),
        ("RRC", "skfolio_sp500_dataset", "missed_split"),
    ]
    assert found.filter(symbol="AAPL")["confidence"].max() < 0.2
    suspect = found.row(by_predicate=pl.col("symbol") == "RRC", named=True)
    assert suspect["confidence"] >= 0.85
    assert (suspect["before"], suspect["n_bars"]) == (3.322, 69)
    assert suspect["after"] == pytest.approx(3.322 / 3)
    assert "it follows 69 equal closes" in suspect["evidence"]


def faulty_market(dataset: str, n_symbols: int, seed: int) -> pl.DataFrame:
    """Symbols that fall together on one day, each with faults of its own."""
    parts = []
    for number in range(n_symbols):
        close = walk(seed + number)
        close[150:] *= 0.7  # everyone falls, and everyone's tick of the day after is a tick
        if number % 3 == 0:
            close[200] *= 1.5  # comes and goes alone
        if number % 4 == 1:
            close[240:] /= 2  # a split nobody announced
        if number % 5 == 2:
            close[60] *= 100
        close[100] *= 1.4  # all at once: the market, not a bad tick
        parts.append(bars(close, f"S{number}", dataset=dataset))
    return pl.concat(parts)


@pytest.mark.parametrize("n_slices", [2, 5, 11])
def test_proposals_in_slices_are_those_of_the_whole_at_once(n_slices):
    """Two sources with symbols in common, one of them large enough to show a market."""
    tables = {
        "raw.bars_yahoo": faulty_market("d", 11, 1),
        "raw.bars_folder": cast_to_contract(faulty_market("inbox", 3, 1), raw.BARS_FOLDER),
    }
    events = {"raw.corporate_actions_yahoo": actions((240, "split", 2.0), (50, "dividend", 0.9))}
    settings = {"now": NOW, "apply": ("unit_100x",), "min_confidence": 0.9}
    whole = propose(tables, events, **settings)
    names = sorted(tables["raw.bars_yahoo"]["symbol"].unique())

    def slices():
        for place in range(0, len(names), -(-len(names) // n_slices)):
            some = names[place : place + -(-len(names) // n_slices)]
            yield {
                table: frame.filter(pl.col("symbol").is_in(some)) for table, frame in tables.items()
            }

    sliced = propose_in_slices(slices, events, **settings)
    key = list(quality.REPAIRS.key)
    assert sliced.sort(key).equals(whole.sort(key))
    assert set(whole["kind"]) >= {"unit_100x", "missed_split", "bad_tick"}
    # What happens to all is no bad tick; a slice that did not know the others would call it one.
    ticks = sliced.filter(kind="bad_tick", source="yahoo")["from_ts"].to_list()
    assert DAYS[200] in ticks
    assert DAYS[100] not in ticks


def test_nothing_in_slices_proposes_nothing():
    assert propose_in_slices(lambda: iter(()), {}, now=NOW).is_empty()
