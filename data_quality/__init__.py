"""Statistics and business rules over tables: Great Expectations suites and their bridge.

Belongs here: what is expected of data beyond structure, as plain declarations (`suites`), what the
declarations are judged on (`views`), the bridge that answers them as checks (`runner`), and the dbt
files that follow from contracts (`dbt_files`). Does not belong here: structure (contracts),
relations between tables (dbt tests), evidence (gates), Dagster. Imports only
`btq_assets.contracts`; Great Expectations itself is imported when a suite runs.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "book_suite": "stream_suites",
    "corporate_actions_suite": "alternative_suites",
    "documents_suite": "document_suites",
    "features_suite": "feature_suites",
    "funding_suite": "alternative_suites",
    "gaps_suite": "stream_suites",
    "macro_suite": "macro_suites",
    "quotes_suite": "stream_suites",
    "raw_bars_suite": "suites",
    "raw_dark_pool_suite": "alternative_suites",
    "raw_documents_suite": "document_suites",
    "raw_macro_suite": "macro_suites",
    "raw_onchain_suite": "alternative_suites",
    "raw_option_trades_suite": "option_trade_suites",
    "raw_options_suite": "alternative_suites",
    "raw_short_volume_suite": "alternative_suites",
    "trades_suite": "stream_suites",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"data_quality has no attribute {name!r}")
    return getattr(importlib.import_module(f"data_quality.{_EXPORTS[name]}"), name)
