"""A replay as a trial: stored bars traded on paper are a backtest like any other.

Belongs here: what a replay is called in the ledger of trials. Does not belong here: the ledger
(`evidence.trials`), who keeps it (`backtest.recording`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from btq_assets.contracts import execution_live as contracts
from btq_assets.execution.live.journal import read_journal
from btq_assets.execution.live.recovery import remember
from btq_assets.execution.live.tables import journal_tables

if TYPE_CHECKING:
    from btq_assets.backtest.recording import Trial


def trial_of(journal: Path, universe: str) -> Trial | None:
    """The trial that a journal holds.

    Parameters
    ----------
    journal
        File of the loop.
    universe
        What was traded.

    Returns
    -------
    Trial or None
        Returns per bar after all costs, named by what was set and by the equity it led to; ``None``
        with fewer than two returns, which are no trial.
    """
    from btq_assets.backtest.recording import Trial

    account = journal_tables(journal, universe, mode="replay")[contracts.ACCOUNT.table]
    account = account.sort("ts")
    returns = account.select(
        "ts", net_return=pl.col("equity") / pl.col("equity").shift() - 1
    ).filter(pl.col("net_return").is_finite())
    if returns.height < 2:
        return None
    begun = remember(read_journal(journal)).started
    set_to = {name: begun[name] for name in ("strategy", "symbols", "model", "config")}
    digest = hashlib.sha256(json.dumps(set_to, sort_keys=True).encode())
    digest.update(account["equity"].to_numpy().tobytes())
    return Trial(
        strategy=str(begun["strategy"]),
        returns=returns,
        config=set_to,
        data_hash=digest.hexdigest()[:20],
        universe=universe,
        code_version="replay",
    )
