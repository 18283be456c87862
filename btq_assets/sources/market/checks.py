"""What must hold for bars and memberships beyond the contract.

Belongs here: checks on the frame about to be written. A frame of bars may be empty: a re-fetch
that finds nothing new appends nothing. Does not belong here: statistics (see `data_quality`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import polars as pl

from btq_assets.contracts import raw
from btq_assets.contracts.checks import CheckContext, CheckGroup, CheckOutcome, frame_check
from btq_assets.sources.market.catalogue import MARKET_FILES
from btq_assets.sources.market.membership import configured_universes, intruders
from btq_assets.sources.market.sessions import ECB_PUBLICATION_UTC, closes_between


def _on_session_close(context: CheckContext) -> CheckOutcome:
    """Each stock bar ends when New York closes, each rate at 15:00 UTC of a weekday."""
    frame = context.frame
    exchange = [file.dataset for file in MARKET_FILES if file.universe != "fx"]
    stocks = frame.filter(pl.col("dataset").is_in(exchange))
    rates = frame.filter(~pl.col("dataset").is_in(exchange))
    astray = rates.filter(
        (pl.col("ts").dt.time() != ECB_PUBLICATION_UTC) | (pl.col("ts").dt.weekday() > 5)
    )
    if stocks.height:
        days = stocks["ts"].dt.date()
        closes = closes_between("XNYS", days.min(), days.max())  # type: ignore[arg-type]
        astray = pl.concat([astray, stocks.join(closes, on="ts", how="anti")])
    return CheckOutcome(
        "on_session_close",
        astray.is_empty(),
        f"{astray.height} of {frame.height} bars do not end at a session close"
        + (f", first {astray.row(0)[:4]}; look at the parser" if astray.height else ""),
        {"bars": frame.height, "astray": astray.height},
    )


def _first_sight_at_bar_end(context: CheckContext) -> CheckOutcome:
    """No bar pretends to a price that was known before it ended."""
    # Beside the bars a step may write corporate actions or funding rates.
    (frame,) = (f for table, f in context.frames.items() if table.startswith("raw.bars_"))
    changed = frame.filter(
        (pl.col("known_at_basis") == "assumed_lag") & (pl.col("known_at") != pl.col("ts"))
    )
    return CheckOutcome(
        "first_sight_at_bar_end",
        changed.is_empty(),
        f"{changed.height} of {frame.height} first sights are not known at the end of their bar"
        + (f", first {changed.row(0)[:5]}" if changed.height else ""),
        {"bars": frame.height},
    )


def _main_universe_present(context: CheckContext) -> CheckOutcome:
    return _present(context, "main_universe_present", ("universe.main",))


def _other_universes_present(context: CheckContext) -> CheckOutcome:
    others = set(configured_universes(context.config)) - {"universe.main"}
    return _present(context, "other_universes_present", sorted(others))


def _generated_apart(context: CheckContext) -> CheckOutcome:
    astray = intruders(context.frame)
    who = ", ".join(f"{r['symbol']} of {r['source']}" for r in astray.head(5).to_dicts())
    return CheckOutcome(
        "generated_apart",
        astray.is_empty(),
        f"{who}: only what sources.synthetic generates belongs to universe "
        f"{raw.SYNTHETIC_UNIVERSE!r}, and to no other; name another universe in the source's "
        "settings"
        if astray.height
        else "",
        {"members": context.frame.height},
    )


def _present(context: CheckContext, name: str, settings: Sequence[str]) -> CheckOutcome:
    frame = context.frame
    universes = sorted(set(frame["universe"]))
    have = {*universes, *frame.filter(pl.col("universe") == "benchmark")["symbol"]}
    wanted = configured_universes(context.config)
    absent = {setting: wanted[setting] for setting in settings if wanted[setting] not in have}
    return CheckOutcome(
        name,
        not absent,
        f"{_listed(absent)}: no members. Universes with members are {', '.join(universes)}; "
        "correct the setting, or enable the source that holds the universe"
        if absent
        else "",
        {"members": frame.height, "universes": len(universes)},
    )


def _listed(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def warning_only(group: CheckGroup) -> CheckGroup:
    """Answer `group` as it is, but let none of its checks refuse the commit."""
    specs = tuple(dataclasses.replace(spec, blocking=False) for spec in group.specs)
    return CheckGroup(specs, group.run)


def _no_bar_counts_twice(context: CheckContext) -> CheckOutcome:
    """Longer bars are made of the bars there are, each once, and known when they have ended."""
    n_came = context.inputs["bars"].height
    problems = []
    for table, frame in context.frames.items():
        n_used = int(frame["n_bars"].sum() or 0)
        n_early = frame.filter(pl.col("known_at") < pl.col("ts")).height
        if n_used > n_came:
            problems.append(f"{table} is made of {n_used:,} bars, {n_came:,} came")
        if n_early:
            problems.append(f"{n_early:,} bars of {table} are known before they end")
    return CheckOutcome(
        "no_bar_counts_twice",
        not problems,
        "; ".join(problems) + ("; look at sources/market/resampling.py" if problems else ""),
        {"bars_that_came": n_came},
    )


SAMPLE_CHECKS = (
    frame_check(
        "on_session_close",
        "Every stock and index bar ends at a close of the New York exchange, every exchange rate "
        "at 15:00 UTC of a weekday.",
        _on_session_close,
    ),
)

FIRST_SIGHT_CHECKS = (
    frame_check(
        "first_sight_at_bar_end",
        "A bar seen for the first time is known at its end; only recorded re-fetches come later.",
        _first_sight_at_bar_end,
    ),
)

MEMBERSHIP_CHECKS = (
    frame_check(
        "generated_apart",
        "Generated instruments belong to universe synthetic and to no other, and nothing real "
        "belongs to it.",
        _generated_apart,
    ),
    frame_check(
        "main_universe_present",
        "The universe that is traded (universe.main) has members.",
        _main_universe_present,
    ),
    frame_check(
        "other_universes_present",
        "The OHLCV and cross-asset universes and the benchmark have members; without them the "
        "features and comparisons that need them are missing.",
        _other_universes_present,
        blocking=False,
    ),
)

TIMEFRAME_CHECKS = (
    frame_check(
        "no_bar_counts_twice",
        "No bar is part of two longer ones of a length, and none is known before it has ended.",
        _no_bar_counts_twice,
    ),
)
