"""What option chains say: smiles by expiry, level, skew and term structure of volatility.

Belongs here: the tables ``core.option_surfaces`` and ``core.option_metrics`` from
``core.option_quotes``. Does not belong here: volume and open interest (`option_activity.py`), single
volatilities (`option_quotes.py`). Pure: no clock, no storage. Each row is a
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
from btq_assets.contracts.core import MACRO_VINTAGES
from btq_assets.contracts.core_alternative import (
    OPTION_METRICS,
    OPTION_SURFACES,
)
from btq_assets.sources.alternative.discount_rates import UNDISCOUNTED
from btq_assets.sources.alternative.option_activity import (
    snapshot_totals,
    unusual_contracts,
    volume_scores,
)
from btq_assets.sources.alternative.option_quotes import (
    DAYS_PER_YEAR,
    SLICE,
    SNAPSHOT,
    out_of_the_money,
    usable_quotes,
    with_rates,
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
    vintages: pl.DataFrame | None = None,
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
    vintages
        Rows of ``core.macro_vintages``, for the curve known at the time; without them the rate is
        the setting's.
    stored
        Surfaces computed before: a smile whose inputs, method and code are the same is taken from
        there instead of being fitted again.
    code_version
        Of the code that fits.
    """
    surfaces = fit_surfaces(
        quotes,
        settings,
        vintages=MACRO_VINTAGES.empty() if vintages is None else vintages,
        stored=stored,
        code_version=code_version,
    )
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
    vintages: pl.DataFrame,
    stored: pl.DataFrame | None = None,
    code_version: str = "",
) -> pl.DataFrame:
    """Smile of every snapshot and expiry with enough quotes (``core.option_surfaces``)."""
    usable = with_rates(usable_quotes(quotes, settings), vintages, settings).filter(
        pl.col("strike").n_unique().over(SLICE) >= settings.min_quotes
    )
    ids = _fit_ids(usable, settings, code_version)
    before = {
        row["fit_id"]: row
        for row in (stored if stored is not None else pl.DataFrame()).iter_rows(named=True)
    }
    # What was fitted before needs no volatilities either, which cost most.
    fresh = usable.join(ids.filter(~pl.col("fit_id").is_in(list(before))), on=SLICE, how="semi")
    parts = out_of_the_money(fresh).partition_by(SLICE, as_dict=True, maintain_order=True)
    known = quotes.group_by(SNAPSHOT).agg(pl.col("known_at").max())
    at = {row[:-1]: row[-1] for row in known.iter_rows()}
    rows: list[dict[str, Any]] = []
    previous: tuple[Any, Smile] | None = None
    for *slice_, fit_id in ids.sort(SLICE).iter_rows():
        key = tuple(slice_)
        found = _fitted(parts.get(key), before.get(fit_id), settings)
        if found is None:
            continue
        smile, described = found
        near = previous[1] if previous is not None and previous[0] == key[:-1] else None
        previous = (key[:-1], smile)
        rows.append(
            {
                **dict(zip(SLICE, key, strict=True)),
                "known_at": at[key[:-1]],
                "fit_id": fit_id,
                **described,
                "calendar_free": None if near is None else calendar_free(near, smile),
            }
        )
    return pl.DataFrame(rows, schema=OPTION_SURFACES.schema)


def _fit_ids(
    usable: pl.DataFrame, settings: OptionMetricsSection, code_version: str
) -> pl.DataFrame:
    """``SLICE`` and ``fit_id``: a hash of all that a slice's smile follows from."""
    how = f"{code_version}:{settings.surface}:{settings.min_quotes}"
    seen = ("mid", "strike", "years", "underlying_price", "rate", "iv_provider")
    rows = []
    ordered = usable.sort(*SLICE, "strike", "kind", "contract_id")
    for key, part in ordered.group_by(SLICE, maintain_order=True):
        state = hashlib.sha256(how.encode())
        for name in seen:
            state.update(np.round(part[name].to_numpy().astype(float), _DIGITS).tobytes())
        words = part.select("kind", "root", "underlying_basis", "discount_basis")
        state.update(repr(words.rows()).encode())
        rows.append((*key, state.hexdigest()[:24]))
    schema = {name: OPTION_SURFACES.schema[name] for name in (*SLICE, "fit_id")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _fitted(
    part: pl.DataFrame | None, row: Mapping[str, Any] | None, settings: OptionMetricsSection
) -> tuple[Smile, dict[str, Any]] | None:
    """Smile of a slice and what is told of it: as stored, or fitted; None where there is none."""
    if row is not None:
        nan = float("nan")
        rho, m = (nan if row[name] is None else row[name] for name in ("rho", "m"))
        smile = Smile(
            row["method"], row["years"], row["a"], row["b"], rho, m, row["sigma"],
            row["k_low"], row["k_high"], row["rmse_iv"],
        )  # fmt: skip
        told = set(row) - {*SLICE, "known_at", "fit_id", "calendar_free"}
        return smile, {name: row[name] for name in told}
    if part is None or part["log_moneyness"].n_unique() < settings.min_quotes:
        return None
    k, iv, weights = (
        np.round(part[name].to_numpy(), _DIGITS) for name in ("log_moneyness", "iv", "vega")
    )
    try:
        smile = fit_smile(k, iv, float(part["years"][0]), method=settings.surface, weights=weights)
    except FitError:
        return None
    return smile, _described(part, smile)


def _described(part: pl.DataFrame, smile: Smile) -> dict[str, Any]:
    covered = smile.k_low <= 0 <= smile.k_high
    gap = (part["iv"] - part["iv_provider"]).mean()
    return {
        "years": smile.years,
        "forward": float(part["forward"][0]),
        "exercise": part["exercise"][0],
        "discount_basis": part["discount_basis"][0],
        "discount_rate_annual": (
            None if part["discount_basis"][0] == UNDISCOUNTED else float(part["rate"][0])
        ),
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
