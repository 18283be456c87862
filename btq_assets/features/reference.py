"""The feature reference as a document, made from the definitions themselves.

Belongs here: turning the catalogue into Markdown. Does not belong here: anything a definition
should say.
"""

from __future__ import annotations

from btq_assets.config import TradingConfig
from btq_assets.features.definitions import Feature
from btq_assets.features.families import FAMILIES, Family

_HEAD = """# Features

One row per feature, made from the definitions in `btq_assets/features` by
`python -m btq_assets.features > docs/features.md`; a test keeps this page true. The same rows are
in the table `features.catalogue`.

**Plots.** Each image shows every feature of its family on the bundled data: the median over all
symbols and the band between the 10 % and the 90 % quantile over time, the ends of the axis and the
years below, and a histogram beside it. After `make run`, `python -m btq_assets.feature_sheets` draws
them from `report.feature_plots`; the run itself writes the same plots, with search, quality and
importances, to `data/reports/features.html`.

**Notation.** `p` adjusted close, `r` its log return, `R` its simple return; `O H L C` adjusted prices,
`V` traded value in millions (raw close times raw volume); `[t-n]` n sessions ago; `mean21(x)`,
`std21(x)` over the last 21 values, this session's included, divisor n - 1 unless said otherwise.

**Rules.** Every feature at `ts` reads only rows known at `ts`. A symbol's sessions are its own bars:
nothing is filled. A value that is undefined (too short a history, a missing input, zero divided by
zero) is null, never zero and never infinite. Multiplying a symbol's adjusted history by a constant,
as every later split and dividend does, changes no feature. *Look-back* is the number of sessions
before the first value; recursive averages (RSI, MACD, EWMA) remember longer, with weights that fade.
Windows `w` are configurable and shown at their defaults; the catalogue table has those of the run.

**Families.** """


def markdown() -> str:
    """Return the whole document."""
    config = TradingConfig()
    parts = [_HEAD, ", ".join(_entry(family, config) for family in FAMILIES), ".\n"]
    for family in FAMILIES:
        contract = family.contract
        parts.append(f"\n## {contract.table}\n\n{contract.description} {family.note}\n")
        parts.append(f"\n![{family.name}](images/features/{family.name}.svg)\n")
        parts.append(
            "\n| feature | formula | source | unit | look-back | needs |\n|---|---|---|---|---|---|\n"
        )
        parts.extend(_row(feature) for feature in family.features(config))
    return "".join(parts)


def _entry(family: Family, config: TradingConfig) -> str:
    """Link to a family's section, with how many features it has."""
    table = family.contract.table
    return f"[{family.name}](#{table.replace('.', '')}) ({len(family.features(config))})"


def _row(feature: Feature) -> str:
    cells = (
        f"`{feature.name}`",
        _escaped(feature.formula),
        _escaped(feature.source),
        feature.unit,
        str(feature.lookback_sessions),
        ", ".join(f"`{name}`" for name in feature.needs),
    )
    return "| " + " | ".join(cells) + " |\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")
