"""From option quotes to the volatilities a smile is fitted to.

Belongs here: which quotes count, where the forward lies, and volatilities recomputed from the middle
of bid and ask. Does not belong here: curves, and what is read off them.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from btq_assets.config.sources import OptionMetricsSection
from btq_assets.sources.alternative.black import implied_volatility, vega

SNAPSHOT = ("source", "dataset", "underlying", "ts")
SLICE = (*SNAPSHOT, "expires_at")
DAYS_PER_YEAR = 365.0
_SECONDS_PER_YEAR = DAYS_PER_YEAR * 86_400
#: In the last day before expiry a smile is the noise of ticks.
_SHORTEST_YEARS = 1 / DAYS_PER_YEAR
#: Strikes around the forward whose parity is asked.
_PARITY_STRIKES = 5
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


def forwards(usable: pl.DataFrame, settings: OptionMetricsSection) -> pl.DataFrame:
    """Forward and discount factor of each slice that has one.

    Where the provider gives the forward it is taken, undiscounted. Elsewhere put-call parity gives
    it: F = K + (C - P) / D, the median over the five strikes where call and put are nearest to each
    other (there the value of early exercise is least). A slice without a strike that has both has
    no forward.

    Returns
    -------
    polars.DataFrame
        The columns of ``SLICE``, ``years``, ``forward``, ``discount``.
    """
    discount = (-settings.discount_rate_annual * pl.col("years")).exp()
    given = (
        usable.filter(pl.col("underlying_basis") == "forward")
        .group_by(SLICE)
        .agg(
            years=pl.col("years").first(),
            forward=pl.col("underlying_price").median(),
            discount=pl.lit(1.0),
        )
    )
    of_spot = usable.filter(pl.col("underlying_basis") == "spot")
    columns = (*SLICE, "strike")
    calls = (
        of_spot.filter(kind="call")
        .group_by(columns)
        .agg(pl.col("mid").mean().alias("call"), pl.col("years", "underlying_price").first())
    )
    puts = of_spot.filter(kind="put").group_by(columns).agg(pl.col("mid").mean().alias("put"))
    implied = (
        calls.join(puts, on=columns)
        .with_columns(gap=pl.col("call") - pl.col("put"), discount=discount)
        .with_columns(rank=pl.col("gap").abs().rank("ordinal").over(SLICE))
        .filter(pl.col("rank") <= _PARITY_STRIKES)
        .group_by(SLICE)
        .agg(
            years=pl.col("years").first(),
            forward=(pl.col("strike") + pl.col("gap") / pl.col("discount")).median(),
            discount=pl.col("discount").first(),
            spot=pl.col("underlying_price").first(),
        )
        .filter(
            pl.col("spot").is_null()
            | (pl.col("forward") / pl.col("spot")).is_between(
                1 / _FURTHEST_FORWARD, _FURTHEST_FORWARD
            )
        )
        .drop("spot")
    )
    return pl.concat([given, implied]).filter(pl.col("forward") > 0).sort(SLICE)


def out_of_the_money(quotes: pl.DataFrame, settings: OptionMetricsSection) -> pl.DataFrame:
    """Volatilities recomputed from usable out-of-the-money quotes.

    Returns
    -------
    polars.DataFrame
        Columns of the quotes, and ``years``, ``forward``, ``log_moneyness``, ``iv`` (annual),
        ``vega`` (of the undiscounted price over the forward); by slice and strike.
    """
    usable = usable_quotes(quotes, settings)
    joined = usable.join(
        forwards(usable, settings).drop("years"), on=SLICE, maintain_order="left"
    ).filter(
        pl.when(pl.col("kind") == "call")
        .then(pl.col("strike") >= pl.col("forward"))
        .otherwise(pl.col("strike") < pl.col("forward"))
    )
    arrays = {
        name: joined[name].to_numpy().astype(float)
        for name in ("mid", "forward", "strike", "years", "discount")
    }
    right = np.where((joined["kind"] == "call").to_numpy(), 1.0, -1.0)
    iv = implied_volatility(
        arrays["mid"],
        right,
        arrays["forward"],
        arrays["strike"],
        arrays["years"],
        arrays["discount"],
    )
    weight = vega(arrays["forward"], arrays["strike"], arrays["years"], iv) / arrays["forward"]
    return (
        joined.with_columns(
            log_moneyness=(pl.col("strike") / pl.col("forward")).log(),
            iv=pl.Series(iv),
            vega=pl.Series(weight),
        )
        .filter(pl.col("iv").is_finite())
        .sort(*SLICE, "strike", "contract_id")
    )
