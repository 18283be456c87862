"""From option quotes to the volatilities a smile is fitted to.

Belongs here: which quotes count, where the forward lies, how they may be exercised, and volatilities
recomputed from the middle of bid and ask. Does not belong here: curves, and what is read off them.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.config.sources import OptionMetricsSection
from btq_assets.sources.alternative.american import american_implied_volatility
from btq_assets.sources.alternative.black import black_price, implied_volatility, vega
from btq_assets.sources.alternative.contract_names import EUROPEAN_ROOTS
from btq_assets.sources.alternative.discount_rates import UNDISCOUNTED, curves_known_at

SNAPSHOT = ("source", "dataset", "underlying", "ts")
SLICE = (*SNAPSHOT, "expires_at")
DAYS_PER_YEAR = 365.0
_SECONDS_PER_YEAR = DAYS_PER_YEAR * 86_400
#: In the last day before expiry a smile is the noise of ticks.
_SHORTEST_YEARS = 1 / DAYS_PER_YEAR
#: Strikes around the forward whose parity is asked.
_PARITY_STRIKES = 5
#: Times the forward is found again from prices without early exercise: each round divides its error
#: by ten or more.
_PARITY_ROUNDS = 3
#: A forward further from its spot than this factor is a data error.
_FURTHEST_FORWARD = 1.5


def usable_quotes(quotes: pl.DataFrame, settings: OptionMetricsSection) -> pl.DataFrame:
    """Two-sided quotes of standard contracts with time left, with ``mid`` in currency and ``years``.

    Premiums quoted in the underlying are multiplied by its price. A class that ends in a digit the
    underlying does not have is adjusted for a corporate action: its deliverable is unknown.
    """
    price = (
        pl.when(pl.col("premium_unit") == "underlying")
        .then(pl.col("underlying_price"))
        .otherwise(1.0)
    )
    seconds = (pl.col("expires_at") - pl.col("ts")).dt.total_microseconds() / 1e6
    middle = (pl.col("bid") + pl.col("ask")) / 2
    is_adjusted = pl.col("root").str.contains(r"\d$") & ~pl.col("underlying").str.contains(r"\d$")
    return quotes.with_columns(mid=middle * price, years=seconds / _SECONDS_PER_YEAR).filter(
        pl.col("mid").is_not_null(),
        pl.col("ask") >= pl.col("bid"),
        (pl.col("ask") - pl.col("bid")) <= settings.max_relative_spread * middle,
        pl.col("years") >= _SHORTEST_YEARS,
        ~is_adjusted,
    )


def with_rates(
    usable: pl.DataFrame, vintages: pl.DataFrame, settings: OptionMetricsSection
) -> pl.DataFrame:
    """Usable quotes with the ``rate`` to their expiry and its ``discount_basis``, one of a slice.

    Where the provider gives the forward there is nothing to discount with: rate zero.
    """
    spot = pl.col("underlying_basis") == "spot"
    known = pl.col("known_at").max().over(SNAPSHOT)
    slices = usable.with_columns(snapshot_known_at=known).filter(spot)
    each = slices.select(*SLICE, "snapshot_known_at", "years").unique(SLICE, maintain_order=True)
    curves = curves_known_at(each["snapshot_known_at"].to_list(), vintages, settings)
    found = [curves[t] for t in each["snapshot_known_at"]]
    rates = each.select(SLICE).with_columns(
        rate=pl.Series(
            [curve.rate(years) for curve, years in zip(found, each["years"], strict=True)],
            dtype=pl.Float64,
        ),
        discount_basis=pl.Series([curve.basis for curve in found], dtype=pl.String),
    )
    return usable.join(rates, on=SLICE, how="left", maintain_order="left").with_columns(
        pl.when(spot).then("rate").otherwise(0.0),
        pl.when(spot).then("discount_basis").otherwise(pl.lit(UNDISCOUNTED)),
    )


def exercise() -> pl.Expr:
    """How a quote's option is valued: ``european``, ``american``, ``american_as_european``."""
    european = (pl.col("underlying_basis") == "forward") | pl.col("root").is_in(
        sorted(EUROPEAN_ROOTS)
    )
    return (
        pl.when(european)
        .then(pl.lit("european"))
        .when(pl.col("underlying_price").is_null())
        .then(pl.lit("american_as_european"))
        .otherwise(pl.lit("american"))
        .alias("exercise")
    )


def forwards(usable: pl.DataFrame) -> pl.DataFrame:
    """Forward and discount factor of each slice that has one.

    Where the provider gives the forward it is taken, undiscounted. Elsewhere put-call parity gives
    it: F = K + (C - P) / D, the median over the five strikes where call and put are nearest to each
    other. Parity is of European options: from American ones the value of early exercise is taken off
    first, which needs a forward, so this is done again from the forward found. A slice without a
    strike that has both has no forward.

    The dividends of an American option are thereby a continuous yield, q = r - log(F / S) / t, that
    moves the forward as the market's expected ones do; on which days they fall is not known.

    Parameters
    ----------
    usable
        Rows of `with_rates`.

    Returns
    -------
    polars.DataFrame
        The columns of ``SLICE``, ``years``, ``forward``, ``discount``.
    """
    given = (
        usable.filter(pl.col("underlying_basis") == "forward")
        .group_by(SLICE)
        .agg(
            years=pl.col("years").first(),
            forward=pl.col("underlying_price").median(),
            discount=pl.lit(1.0),
        )
    )
    pairs = _parity_pairs(usable.filter(pl.col("underlying_basis") == "spot"))
    implied = _parity_forward(pairs, pl.col("call") - pl.col("put"))
    american = pairs.filter(pl.col("exercise") == "american")
    for _ in range(_PARITY_ROUNDS if american.height else 0):
        gap = _european_gap(american.join(implied.select(*SLICE, "forward"), on=SLICE))
        better = _parity_forward(gap.filter(pl.col("gap").is_finite()), pl.col("gap"))
        implied = implied.join(better, on=SLICE, how="left", suffix="_better").select(
            *SLICE,
            "years",
            pl.coalesce("forward_better", "forward").alias("forward"),
            "discount",
            "spot",
        )
    near = implied.filter(
        pl.col("spot").is_null()
        | (pl.col("forward") / pl.col("spot")).is_between(1 / _FURTHEST_FORWARD, _FURTHEST_FORWARD)
    ).drop("spot")
    return pl.concat([given, near]).filter(pl.col("forward") > 0).sort(SLICE)


def _parity_pairs(of_spot: pl.DataFrame) -> pl.DataFrame:
    """Call and put of the five strikes of each slice where they are nearest to each other."""
    columns = (*SLICE, "strike")
    calls = (
        of_spot.filter(kind="call")
        .group_by(columns)
        .agg(
            pl.col("mid").mean().alias("call"),
            pl.col("years", "underlying_price", "rate").first(),
            exercise().first(),
        )
    )
    puts = of_spot.filter(kind="put").group_by(columns).agg(pl.col("mid").mean().alias("put"))
    away = (pl.col("call") - pl.col("put")).abs()
    return (
        calls.join(puts, on=columns)
        .with_columns(discount=(-pl.col("rate") * pl.col("years")).exp())
        .sort(columns)
        .filter(away.rank("ordinal").over(SLICE) <= _PARITY_STRIKES)
    )


def _parity_forward(pairs: pl.DataFrame, gap: pl.Expr) -> pl.DataFrame:
    return pairs.group_by(SLICE).agg(
        years=pl.col("years").first(),
        forward=(pl.col("strike") + gap / pl.col("discount")).median(),
        discount=pl.col("discount").first(),
        spot=pl.col("underlying_price").first(),
    )


def _european_gap(pairs: pl.DataFrame) -> pl.DataFrame:
    """`pairs` with ``gap``: call less put, each at the volatility of its American price."""
    s, k, t, r, f, d = (
        pairs[name].to_numpy().astype(float)
        for name in ("underlying_price", "strike", "years", "rate", "forward", "discount")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        dividend_yield = r - np.log(f / s) / t
    value = {
        kind: black_price(
            right,
            f,
            k,
            t,
            american_implied_volatility(
                pairs[kind].to_numpy().astype(float), right, s, k, t, r, dividend_yield
            ),
            d,
        )
        for kind, right in (("call", 1.0), ("put", -1.0))
    }
    return pairs.with_columns(gap=pl.Series(value["call"] - value["put"]))


def out_of_the_money(usable: pl.DataFrame) -> pl.DataFrame:
    """Volatilities recomputed from out-of-the-money quotes.

    American options by the tree (`american.py`), European ones by Black's formula.

    Parameters
    ----------
    usable
        Rows of `with_rates`.

    Returns
    -------
    polars.DataFrame
        Columns of the quotes, and ``years``, ``forward``, ``exercise``, ``log_moneyness``, ``iv``
        (annual), ``vega`` (of the undiscounted price over the forward); by slice and strike.
    """
    joined = (
        usable.join(forwards(usable).drop("years"), on=SLICE, maintain_order="left")
        .filter(
            pl.when(pl.col("kind") == "call")
            .then(pl.col("strike") >= pl.col("forward"))
            .otherwise(pl.col("strike") < pl.col("forward"))
        )
        .with_columns(exercise())
    )
    mid, f, k, t, d, r, s = (
        joined[name].to_numpy().astype(float)
        for name in ("mid", "forward", "strike", "years", "discount", "rate", "underlying_price")
    )
    right = np.where((joined["kind"] == "call").to_numpy(), 1.0, -1.0)
    iv = np.full(mid.shape, np.nan)
    early = (joined["exercise"] == "american").to_numpy()
    late = ~early
    iv[late] = implied_volatility(*(x[late] for x in (mid, right, f, k, t, d)))
    with np.errstate(invalid="ignore", divide="ignore"):
        dividend_yield = r - np.log(f / s) / t
    iv[early] = american_implied_volatility(
        *(x[early] for x in (mid, right, s, k, t, r, dividend_yield))
    )
    weight = vega(f, k, t, iv) / f
    return (
        joined.with_columns(
            log_moneyness=(pl.col("strike") / pl.col("forward")).log(),
            iv=pl.Series(iv),
            vega=pl.Series(weight),
        )
        .filter(pl.col("iv").is_finite())
        .sort(*SLICE, "strike", "contract_id")
    )
