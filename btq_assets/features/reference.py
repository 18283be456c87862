"""The feature reference as a document, made from the definitions themselves.

Belongs here: turning the catalogue into Markdown. Does not belong here: anything a definition
should say.
"""

from __future__ import annotations

from btq_assets.contracts import features as contracts
from btq_assets.features.catalogue import definitions
from btq_assets.features.definitions import Feature

_HEAD = """# Features

One row per feature, made from the definitions in `btq_assets/features` by
`python -m btq_assets.features > docs/features.md`; a test keeps this page true. The same rows are
in the table `features.catalogue`.

**Notation.** `p` adjusted close, `r` its log return, `R` its simple return; `O H L C` adjusted prices,
`V` traded value in millions (raw close times raw volume); `[t-n]` n sessions ago; `mean21(x)`,
`std21(x)` over the last 21 values, this session's included, divisor n - 1 unless said otherwise.

**Rules.** Every feature at `ts` reads only rows known at `ts`. A symbol's sessions are its own bars:
nothing is filled. A value that is undefined (too short a history, a missing input, zero divided by
zero) is null, never zero and never infinite. Multiplying a symbol's adjusted history by a constant,
as every later split and dividend does, changes no feature. *Look-back* is the number of sessions
before the first value; recursive averages (RSI, MACD, EWMA) remember longer, with weights that fade.
Windows `w` are configurable and shown at their defaults; the catalogue table has those of the run.
"""

_NOTES = {
    "technical": "Wilder averages start at a plain mean, an EMA at the mean of "
    "its first n values, both MACD averages at the same bar, Bollinger with divisor n.",
    "volatility": "Range estimators need open, high and low: null for close-only symbols. They miss "
    "overnight moves and read low where trading is thin.",
    "microstructure": "Spread estimators floor negative values at zero, as their papers do, which biases them upwards where the spread "
    "is small beside the volatility.",
    "quantum": "Plain statistics under the names of their analogies; nothing here needs or simulates "
    "a quantum computer. A member switched off in `features.quantum_features` is null.",
    "cross_asset": "An asset takes part at a session only if its window has no gap and its price "
    "moves. The dollar columns need the FX universe and are null where its newest rate is older than "
    "seven days.",
    "sentiment": "`is_synthetic` is true where any document behind a row is generated; such rows are "
    "evidence of nothing. Rows start with a symbol's first known document.",
    "macro": "Read from vintages: both ends of a change are taken as known at the session. A value "
    "counts from its release; a revision of an earlier period does not make it fresh. Values are "
    "null outside the span of their series.",
}


def markdown() -> str:
    """Return the whole document."""
    parts = [_HEAD]
    features = definitions()
    for family in contracts.FAMILIES:
        members = [feature for feature in features if feature.family == family]
        contract = contracts.FAMILY_CONTRACTS[family]
        parts.append(f"\n## {contract.table}\n\n{contract.description} {_NOTES[family]}\n")
        parts.append(
            "\n| feature | formula | source | unit | look-back | needs |\n|---|---|---|---|---|---|\n"
        )
        parts.extend(_row(feature) for feature in members)
    return "".join(parts)


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
