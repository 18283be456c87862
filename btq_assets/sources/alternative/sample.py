"""Real volatility surfaces inside the package qmoms (extra ``options-sample``).

Belongs here: the pinned file and what its columns mean. Does not belong here: any copy of it.
"""

from __future__ import annotations

import io

import polars as pl

from btq_assets.contracts.raw.alternative import IV_SURFACES_SAMPLE
from btq_assets.sources.errors import SourceError
from btq_assets.sources.packaged import PackagedFile, read_packaged

#: CRSP numbers of the file; IBM's price was compared.
TICKERS = {12490: "IBM", 14541: "CVX", 14593: "AAPL", 18542: "CAT", 93436: "TSLA"}

SURFACE_FILE = PackagedFile(
    dataset="qmoms_surface",
    distribution="qmoms",
    version="0.1.3",
    package="qmoms",
    resource="data/surface.csv",
    sha256="6bcdd5566760ff8ccca0d6ccffaea83c3829044ed092698efedf3f3ac9cdb58b",
    n_rows=67_500,
    license="MIT package; the consent of the data's vendor is not shown",
    attribution="qmoms by G. Vilkov, surfaces in the layout of OptionMetrics",
    caveat="Five stocks, 250 sessions of 2023, 30, 60 and 91 days, 18 deltas. Smoothed by the vendor: no bid, ask, volume or open interest. For use where installed, never to be copied.",
)
_PERCENT = 100.0
_COLUMNS = {
    "id": pl.Int64,
    "date": pl.Date,
    "k": pl.Float64,
    "impl_volatility": pl.Float64,
    "delta": pl.Float64,
    "f": pl.Float64,
    "s": pl.Float64,
    "days": pl.Float64,
}


def read_surfaces() -> pl.DataFrame:
    """Surfaces in the columns of ``raw.iv_surfaces_sample``.

    Raises
    ------
    SourceError
        The package is missing, its file is not the pinned one, or its rows are not those pinned.
    """
    content = read_packaged(SURFACE_FILE)
    found = pl.read_csv(io.BytesIO(content), columns=list(_COLUMNS), schema_overrides=_COLUMNS)
    if found.height != SURFACE_FILE.n_rows:
        raise SourceError(
            f"dataset {SURFACE_FILE.dataset!r}: {found.height} rows read of the pinned file, "
            f"{SURFACE_FILE.n_rows} are declared; the reader has changed, look at its last edit"
        )
    return found.select(
        dataset=pl.lit(SURFACE_FILE.dataset),
        underlying=pl.col("id").replace_strict(TICKERS, return_dtype=pl.String),
        session="date",
        days="days",
        delta=pl.col("delta") / _PERCENT,
        strike="k",
        implied_volatility="impl_volatility",
        forward="f",
        spot="s",
    ).select(IV_SURFACES_SAMPLE.column_names)
