"""Which packaged macro files there are, and what to know about each.

Belongs here: the declarations, hashes, licences and caveats. Does not belong here: code that
reads them, and lags (`series.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from btq_assets.contracts import raw
from btq_assets.sources.macro.parsers import US_DATE, YEAR_MONTH, parse_lagged, parse_vintage
from btq_assets.sources.macro.series import NOWCAST_SERIES, SAMPLE_SERIES, SeriesSpec
from btq_assets.sources.packaged import PackagedFile
from btq_assets.sources.rows import Parsed

Parser = Callable[..., Parsed]


@dataclass(frozen=True)
class MacroFile(PackagedFile):
    """A packaged macro file, the function that reads it and the vintage it is, if it is one.

    Parameters
    ----------
    parse
        ``parse(content, dataset=...) -> Parsed``.
    vintage
        Date of a real-time vintage; ``None`` for a series of which only the last form exists.
    """

    parse: Parser = parse_lagged
    vintage: datetime | None = None


def _series(*names: str) -> tuple[SeriesSpec, ...]:
    return tuple(spec for spec in SAMPLE_SERIES if spec.series_id in names)


def _arch(
    name: str,
    file: str,
    sha256: str,
    n_rows: int,
    attribution: str,
    caveat: str,
    *series_ids: str,
    date_format: str = US_DATE,
) -> MacroFile:
    return MacroFile(
        dataset=f"arch_{name}",
        distribution="arch",
        version="8.0.0",
        package="arch",
        resource=f"data/{file}",
        sha256=sha256,
        n_rows=n_rows,
        license="NCSA package; the data's own terms are not stated",
        attribution=attribution,
        caveat=caveat,
        parse=partial(parse_lagged, series=_series(*series_ids), date_format=date_format),
    )


_REVISED = "Only the last revised form exists, so known_at assumes a lag and revisions look known too soon."


def _nowcast(vintage: str, sha256: str, n_rows: int) -> MacroFile:
    return MacroFile(
        dataset=f"frbny_nowcast_{vintage}",
        distribution="statsmodels",
        version="0.15.0",
        package="statsmodels",
        resource=f"tsa/statespace/tests/results/frbny_nowcast/Nowcasting/data/US/{vintage}.csv",
        sha256=sha256,
        n_rows=n_rows,
        license="BSD-3-Clause (Federal Reserve Bank of New York, in the folder of the file)",
        attribution="Federal Reserve Bank of New York, Nowcasting; series from FRED",
        caveat="A real-time vintage: nothing in it is known before its date, so these series are null before 2016-06-29 and stale soon after 2016-07-29.",
        parse=partial(
            parse_vintage,
            series=NOWCAST_SERIES,
            vintage=datetime.fromisoformat(vintage).replace(tzinfo=UTC),
        ),
        vintage=datetime.fromisoformat(vintage).replace(tzinfo=UTC),
    )


MACRO_FILES: tuple[MacroFile, ...] = (
    _arch(
        "vix",
        "vix/vix.csv.gz",
        "410bd07360dc798f7206d681b8347c6150e7fbd8b05fb1ae29bbe2c9985d66ef",
        1_259,
        "Cboe Volatility Index",
        "2014-01-03 to 2019-01-03 only: features of it are null outside.",
        raw.VIX_CLOSE,
    ),
    _arch(
        "wti",
        "wti/wti.csv.gz",
        "b83498894138a65cdc14a67fc1716aa90b3cfda274f976bd3692cc3f1500084d",
        8_321,
        "US Energy Information Administration through FRED",
        "1986-01-02 to 2019-01-03 only.",
        raw.WTI_SPOT,
    ),
    _arch(
        "default",
        "default/default.csv.gz",
        "cc5453068cedc7ef4836956358dce1d20eaf1e639b69c3107a7531a8e6bb982d",
        2_400,
        "Moody's seasoned corporate bond yields",
        f"1919-01 to 2018-12; monthly means. {_REVISED}",
        raw.MOODYS_AAA,
        raw.MOODYS_BAA,
    ),
    _arch(
        "core_cpi",
        "core_cpi/core-cpi.csv.gz",
        "81fc912d5967ad23f4b3722a10f76867034405354b8f03f3951ebce31e5bd412",
        743,
        "US Bureau of Labor Statistics through FRED",
        f"1957-01 to 2018-11, seasonally adjusted. {_REVISED}",
        raw.CORE_CPI,
    ),
    _arch(
        "frenchdata",
        "frenchdata/frenchdata.csv.gz",
        "f23436727b01d879e1372e3ee277514b0962a23d2b158f1aee6a402a90994f52",
        4_436,
        "Kenneth R. French, Data Library",
        f"1926-07 to 2018-11. {_REVISED}",
        raw.MARKET_EXCESS_RETURN,
        raw.SIZE_FACTOR,
        raw.VALUE_FACTOR,
        raw.RISK_FREE_RATE,
        date_format=YEAR_MONTH,
    ),
    _nowcast(
        "2016-06-29", "e276bcd2ff98fe58e42a4e74abdef278b3a263221e7052d4749697e73cdbfc06", 8_653
    ),
    _nowcast(
        "2016-07-29", "acf05d136be466c545b182a834d9b8c43b0746daec061fdac23b1b5d22b3d888", 8_676
    ),
)
