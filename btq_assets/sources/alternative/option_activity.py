"""What was traded and open: totals, put/call ratios, and what is unusual beside the past.

Belongs here: ``core.unusual_options``, and the columns of ``core.option_metrics`` on volume and open
interest. Does not belong here: prices and volatilities. Pure: no clock, no storage. Each row is a
function of quotes known by its own ``known_at``.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from btq_assets.config.sources import OptionMetricsSection
from btq_assets.contracts.core_alternative import OPTION_METRICS, UNUSUAL_OPTIONS
from btq_assets.sources.alternative.option_quotes import SNAPSHOT

#: Sources whose open interest is counted once a night, by the clearing house: `core.option_quotes`
#: shows there what was open before the session.
OVERNIGHT_SOURCES = frozenset({"cboe"})
#: Earlier days without which "unusual" has no meaning.
_FEWEST_DAYS = 5


def snapshot_totals(quotes: pl.DataFrame) -> pl.DataFrame:
    """Contracts, volume, open interest and put/call ratios of each snapshot."""
    sums = {
        f"{kind}_{name}": _sum(pl.col(name).filter(pl.col("kind") == kind))
        for kind in ("call", "put")
        for name in ("volume", "open_interest")
    }
    return (
        quotes.group_by(SNAPSHOT)
        .agg(
            known_at=pl.col("known_at").max(),
            n_contracts=pl.len().cast(pl.Int64),
            volume=_sum(pl.col("volume")),
            open_interest=_sum(pl.col("open_interest")),
            **sums,
        )
        .with_columns(
            put_call_volume=_ratio("put_volume", "call_volume"),
            put_call_oi=_ratio("put_open_interest", "call_open_interest"),
        )
        .drop(sums)
        .sort(SNAPSHOT)
    )


def _sum(values: pl.Expr) -> pl.Expr:
    """Sum that stays missing where nothing is known."""
    return pl.when(values.count() > 0).then(values.sum())


def _ratio(above: str, below: str) -> pl.Expr:
    return pl.when(pl.col(below) > 0).then(pl.col(above) / pl.col(below))


def volume_scores(totals: pl.DataFrame, history: int) -> pl.DataFrame:
    """How unusual each snapshot's volume is beside earlier days.

    (x - mean) / standard deviation of x = log(1 + volume) over the last snapshots of up to `history`
    earlier days (UTC), as far as known when this one was. A snapshot within the day is compared
    with whole days, and its score errs low.
    """
    rows = []
    for key, part in totals.group_by(("source", "dataset", "underlying"), maintain_order=True):
        known = part.filter(pl.col("volume").is_not_null()).sort("ts")
        days = known.group_by(pl.col("ts").dt.date().alias("day"), maintain_order=True).last()
        closing = list(days.select("day", "known_at", "volume").iter_rows())
        for ts, known_at, volume in known.select("ts", "known_at", "volume").iter_rows():
            earlier = [v for day, k, v in closing if day < ts.date() and k <= known_at][-history:]
            rows.append((*key, ts, _score(volume, earlier)))
    names = (*SNAPSHOT, "unusual_volume_score")
    schema = {name: OPTION_METRICS.schema[name] for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _score(volume: float, earlier: list[float]) -> float | None:
    if len(earlier) < _FEWEST_DAYS:
        return None
    logs = np.log1p(earlier)
    spread = float(np.std(logs, ddof=1))
    return _finite((math.log1p(volume) - float(logs.mean())) / spread) if spread > 0 else None


def unusual_contracts(quotes: pl.DataFrame, settings: OptionMetricsSection) -> pl.DataFrame:
    """Contracts that traded more than was open the day before (``core.unusual_options``).

    Open interest is that of the end of the day before. Where contracts are cleared overnight the
    quote itself holds it; elsewhere it moves with each trade, and that of the last quote of the
    newest earlier day (UTC) is taken, as far as known then. A contract without either is not listed.
    Its own history is the last volume of each of up to ``settings.history`` earlier days, as far as
    known then.
    """
    day = pl.col("ts").dt.date().alias("day")
    identity = ("source", "dataset", "contract_id")
    active = quotes.filter(pl.col("volume") >= settings.unusual_min_volume).with_columns(day)
    found = _with_open_interest_before(active, quotes.with_columns(day), identity).filter(
        pl.col("volume") > settings.unusual_ratio * pl.col("open_interest")
    )
    closing = (
        quotes.filter(pl.col("volume").is_not_null())
        .join(found.select(identity).unique(), on=identity, how="semi")
        .with_columns(day)
        .sort("ts")
        .group_by(*identity, "day")
        .agg(pl.col("known_at", "volume").last().name.prefix("earlier_"))
        .rename({"day": "earlier_day"})
    )
    history = (
        found.select(*identity, "ts", "day", "known_at")
        .join(closing, on=identity)
        .filter(
            pl.col("earlier_day") < pl.col("day"), pl.col("earlier_known_at") <= pl.col("known_at")
        )
        .sort("earlier_day")
        .group_by(*identity, "ts")
        .agg(pl.col("earlier_volume").tail(settings.history))
        .select(
            *identity,
            "ts",
            n_earlier_days=pl.col("earlier_volume").list.len().cast(pl.Int64),
            mean_earlier_volume=pl.col("earlier_volume").list.mean(),
        )
    )
    return (
        found.join(history, on=(*identity, "ts"), how="left")
        .with_columns(
            pl.col("n_earlier_days").fill_null(0),
            volume_to_open_interest=_ratio("volume", "open_interest"),
        )
        .select(UNUSUAL_OPTIONS.column_names)
        .sort(UNUSUAL_OPTIONS.key)
    )


def _with_open_interest_before(
    active: pl.DataFrame, quotes: pl.DataFrame, identity: tuple[str, ...]
) -> pl.DataFrame:
    """`active` with the open interest of the day before, where it came from, and when it was quoted."""
    overnight = pl.col("source").is_in(sorted(OVERNIGHT_SOURCES))
    cleared = active.filter(overnight).with_columns(
        open_interest_basis=pl.lit("cleared_overnight"), open_interest_at=pl.col("ts")
    )
    earlier = quotes.filter(~overnight, pl.col("open_interest").is_not_null()).select(
        *identity,
        earlier_day="day",
        earlier_known_at="known_at",
        open_interest_at="ts",
        open_interest="open_interest",
    )
    moving = active.filter(~overnight).drop("open_interest")
    newest = (
        moving.select(*identity, "ts", "day", "known_at")
        .join(earlier, on=identity)
        .filter(
            pl.col("earlier_day") < pl.col("day"), pl.col("earlier_known_at") <= pl.col("known_at")
        )
        .sort("open_interest_at")
        .group_by(*identity, "ts")
        .agg(pl.col("open_interest", "open_interest_at").last())
        .with_columns(open_interest_basis=pl.lit("earlier_day"))
    )
    both = moving.join(newest, on=(*identity, "ts"))
    return pl.concat([cleared, both.select(cleared.columns)]).filter(
        pl.col("open_interest").is_not_null()
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
