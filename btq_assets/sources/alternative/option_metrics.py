"""What option chains say: smiles by expiry, level, skew, term structure, ratios, unusual activity.

Belongs here: the tables ``core.option_surfaces``, ``core.option_metrics`` and
``core.unusual_options`` from ``core.option_quotes``. Pure: no clock, no storage. Each row is a
function of quotes known by its own ``known_at``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from btq_assets.config.sources import OptionMetricsSection
from btq_assets.contracts.core_alternative import (
    OPTION_METRICS,
    OPTION_SURFACES,
    UNUSUAL_OPTIONS,
)
from btq_assets.sources.alternative.option_quotes import (
    DAYS_PER_YEAR,
    SLICE,
    SNAPSHOT,
    out_of_the_money,
)
from btq_assets.sources.alternative.smiles import (
    FitError,
    Smile,
    calendar_free,
    fit_smile,
    interpolate_in_time,
)

_ONE_MONTH, _THREE_MONTHS = 30 / DAYS_PER_YEAR, 90 / DAYS_PER_YEAR
_WING_DELTA = 0.25
#: Earlier days without which "unusual" has no meaning.
_FEWEST_DAYS = 5
#: Of what is fitted: the last bits of a logarithm depend on the machine.
_DIGITS = 10


@dataclass(frozen=True)
class OptionTables:
    """Rows of the three tables, in their contracts' columns."""

    surfaces: pl.DataFrame
    metrics: pl.DataFrame
    unusual: pl.DataFrame


def option_tables(
    quotes: pl.DataFrame,
    settings: OptionMetricsSection,
    *,
    stored: pl.DataFrame | None = None,
    code_version: str = "",
) -> OptionTables:
    """Compute all three tables.

    Parameters
    ----------
    quotes
        Rows of ``core.option_quotes``.
    settings
        Choices of the computation.
    stored
        Surfaces computed before: a smile whose inputs, method and code are the same is taken from
        there instead of being fitted again.
    code_version
        Of the code that fits.
    """
    surfaces = fit_surfaces(quotes, settings, stored=stored, code_version=code_version)
    totals = snapshot_totals(quotes)
    unusual = unusual_contracts(quotes, settings)
    metrics = (
        totals.join(_shape(surfaces), on=SNAPSHOT, how="left")
        .join(volume_scores(totals, settings.history), on=SNAPSHOT, how="left")
        .join(unusual.group_by(SNAPSHOT).len("n_unusual_contracts"), on=SNAPSHOT, how="left")
        .with_columns(
            pl.col("n_expiries_fitted", "n_unusual_contracts").fill_null(0).cast(pl.Int64)
        )
    )
    return OptionTables(
        surfaces, metrics.select(OPTION_METRICS.column_names).sort(SNAPSHOT), unusual
    )


def fit_surfaces(
    quotes: pl.DataFrame,
    settings: OptionMetricsSection,
    *,
    stored: pl.DataFrame | None = None,
    code_version: str = "",
) -> pl.DataFrame:
    """Smile of every snapshot and expiry with enough quotes (``core.option_surfaces``)."""
    fitted = out_of_the_money(quotes, settings)
    before = {
        row["fit_id"]: row
        for row in (stored if stored is not None else pl.DataFrame()).iter_rows(named=True)
    }
    known = quotes.group_by(SNAPSHOT).agg(pl.col("known_at").max())
    at = {row[:-1]: row[-1] for row in known.iter_rows()}
    rows: list[dict[str, Any]] = []
    previous: tuple[Any, Smile] | None = None
    for key, part in fitted.group_by(SLICE, maintain_order=True):
        if part["log_moneyness"].n_unique() < settings.min_quotes:
            continue
        try:
            smile, fit_id = _smile(part, settings, before, code_version)
        except FitError:
            continue
        near = previous[1] if previous is not None and previous[0] == key[:-1] else None
        previous = (key[:-1], smile)
        rows.append(
            {
                **dict(zip(SLICE, key, strict=True)),
                "known_at": at[key[:-1]],
                "fit_id": fit_id,
                **_described(part, smile),
                "calendar_free": None if near is None else calendar_free(near, smile),
            }
        )
    return pl.DataFrame(rows, schema=OPTION_SURFACES.schema)


def _smile(
    part: pl.DataFrame,
    settings: OptionMetricsSection,
    before: Mapping[str, Mapping[str, Any]],
    code_version: str,
) -> tuple[Smile, str]:
    k, iv, weights = (
        np.round(part[name].to_numpy(), _DIGITS) for name in ("log_moneyness", "iv", "vega")
    )
    years = float(part["years"][0])
    state = hashlib.sha256(f"{code_version}:{settings.surface}:{years!r}".encode())
    for values in (k, iv, weights):
        state.update(np.ascontiguousarray(values).tobytes())
    fit_id = state.hexdigest()[:24]
    row = before.get(fit_id)
    if row is None:
        return fit_smile(k, iv, years, method=settings.surface, weights=weights), fit_id
    nan = float("nan")
    rho, m = (nan if row[name] is None else row[name] for name in ("rho", "m"))
    return (
        Smile(
            row["method"], row["years"], row["a"], row["b"], rho, m, row["sigma"],
            row["k_low"], row["k_high"], row["rmse_iv"],
        ),
        fit_id,
    )  # fmt: skip


def _described(part: pl.DataFrame, smile: Smile) -> dict[str, Any]:
    covered = smile.k_low <= 0 <= smile.k_high
    gap = (part["iv"] - part["iv_provider"]).mean()
    return {
        "years": smile.years,
        "forward": float(part["forward"][0]),
        "n_quotes": part.height,
        "method": smile.method,
        "atm_iv": _finite(float(smile.volatility(0.0))) if covered else None,
        "put_25d_iv": _finite(smile.volatility_at_delta(-1.0, -_WING_DELTA)),
        "call_25d_iv": _finite(smile.volatility_at_delta(1.0, _WING_DELTA)),
        "rmse_iv": smile.rmse,
        "a": smile.a,
        "b": smile.b,
        "rho": _finite(smile.rho),
        "m": _finite(smile.m),
        "sigma": smile.sigma,
        "k_low": smile.k_low,
        "k_high": smile.k_high,
        "butterfly_free": smile.butterfly_free(),
        "mean_iv_gap": gap,
    }


def _shape(surfaces: pl.DataFrame) -> pl.DataFrame:
    """Level, skew and slope of each snapshot from its smiles."""
    rows = []
    for key, part in surfaces.sort(SLICE).group_by(SNAPSHOT, maintain_order=True):
        years = part["years"].to_list()
        level = [math.nan if x is None else x for x in part["atm_iv"]]
        skew = [
            math.nan if put is None or call is None else put - call
            for put, call in part.select("put_25d_iv", "call_25d_iv").iter_rows()
        ]
        near = interpolate_in_time(years, level, _ONE_MONTH, variance=True)
        far = interpolate_in_time(years, level, _THREE_MONTHS, variance=True)
        rows.append(
            {
                **dict(zip(SNAPSHOT, key, strict=True)),
                "n_expiries_fitted": part.height,
                "atm_iv_30d": _finite(near),
                "skew_25d_30d": _finite(
                    interpolate_in_time(years, skew, _ONE_MONTH, variance=False)
                ),
                "term_slope": _finite(far - near),
            }
        )
    names = ("n_expiries_fitted", "atm_iv_30d", "skew_25d_30d", "term_slope")
    schema = {name: OPTION_METRICS.schema[name] for name in (*SNAPSHOT, *names)}
    return pl.DataFrame(rows, schema=schema)


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
    """Contracts that traded more than their open interest (``core.unusual_options``).

    Their own history is the last volume of each of up to ``settings.history`` earlier days, as far
    as known then.
    """
    day = pl.col("ts").dt.date().alias("day")
    identity = ("source", "dataset", "contract_id")
    found = quotes.filter(
        pl.col("volume") >= settings.unusual_min_volume,
        pl.col("volume") > settings.unusual_ratio * pl.col("open_interest"),
    ).with_columns(day)
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


def newest_smiles(
    surfaces: pl.DataFrame, at_most: int = 6
) -> dict[tuple[str, datetime], pl.DataFrame]:
    """Surfaces of the newest snapshot of each underlying, for pictures."""
    newest = surfaces.filter(
        pl.col("ts") == pl.col("ts").max().over("source", "dataset", "underlying")
    )
    parts = newest.partition_by("underlying", "ts", as_dict=True, maintain_order=True)
    return {(str(name), ts): part for (name, ts), part in list(parts.items())[:at_most]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
