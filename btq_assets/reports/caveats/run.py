"""Caveats of the run: quick settings, missing parts, checks and gates not met, what is switched off.

Belongs here: what a setting or the run itself left undone. Does not belong here: data (`data`), figures
(`evaluation`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl

from btq_assets.config import ProviderSection
from btq_assets.reports.frames import CONTRACTS, ReportContext, ReportFrames
from btq_assets.reports.view import Caveat

_RUN, _OFF = "This run", "Switched off"

#: Tables without which a part of the report is left out.
_PARTS = ("measures", "exceedances", "drawdowns", "stress", "simulations", "states", "splits")


def of_the_run(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """Quick settings, parts without rows, checks and gates that were not met."""
    models, config = context.config.models, context.config
    if config.profile == "quick":
        n_folds = frames["splits"]["fold"].n_unique() or models.walk_forward.max_folds
        yield Caveat(
            _RUN,
            f"Profile quick: no verdict on deep models. {n_folds} folds, {len(models.seeds)} seeds, "
            f"a Transformer-GNN of width {models.transformer.model_dim} trained for at most "
            f"{models.transformer.epochs} epochs, {models.rl.algorithm} with "
            f"{models.rl.total_timesteps:,} steps in all. Use profile full to judge them.",
            "quick",
        )
    for name in _PARTS:
        if frames[name].is_empty():
            table = CONTRACTS[name].table
            yield Caveat(_RUN, f"{table} holds no rows: its part of the report is missing.", table)
    for table, check, message in _weak_checks(frames):
        yield Caveat(_RUN, f"Check {check} on {table}: {message}", table)
    # A gate is asked in every run; only its newest answer counts.
    newest = frames["gates"].sort("recorded_at").unique(["subject", "gate"], keep="last")
    failed = newest.filter(~pl.col("passed")).sort("gate", "subject")
    for (gate,), rows in failed.group_by("gate", maintain_order=True):
        subjects = ", ".join(rows["subject"].to_list())
        yield Caveat(_RUN, f"Gate {gate} not passed by {subjects}.", str(gate))


def _weak_checks(frames: ReportFrames) -> Iterator[tuple[str, str, str]]:
    """Checks that failed without blocking, or passed because nothing had an effect."""
    for row in frames["provenance"].sort("table_name").iter_rows(named=True):
        if row["table_name"].startswith("report."):
            continue
        for name, answer in sorted(json.loads(row["checks_json"] or "{}").items()):
            if not answer.get("passed", True):
                yield (
                    row["table_name"],
                    name,
                    f"not met. {_sentence(answer.get('message', ''))}".strip(),
                )
            elif "no effect" in answer.get("message", ""):
                yield row["table_name"], name, _sentence(answer["message"])


def _sentence(text: str) -> str:
    """Text that ends with exactly one full stop; empty text stays empty."""
    text = text.strip().rstrip(".")
    return f"{text}." if text else ""


def switched_off(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """Sources, families and costs that a setting leaves out."""
    config = context.config
    switches = {
        "source folder": config.sources.folder.enabled,
        "source sample": config.sources.sample.enabled,
        "regimes": config.regimes.enable,
    }
    off = [name for name, on in switches.items() if not on]
    remote = [
        name
        for name in type(config.sources).model_fields
        if isinstance(section := getattr(config.sources, name), ProviderSection)
        and not section.enabled
    ]
    if remote:
        off.append(f"remote sources {', '.join(remote)}")
    disabled = frames["catalogue"].filter(~pl.col("enabled"))
    off += [
        f"feature family {family} ({n} features)"
        for family, n in disabled.group_by("family").len().sort("family").iter_rows()
    ]
    if config.backtest.commission_per_share == 0:
        off.append("commission per share (0)")
    for name in off:
        yield Caveat(_OFF, f"{name[0].upper()}{name[1:]}.", name[1:])
