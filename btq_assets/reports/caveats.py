"""What a reader must know before any number: every skip, fallback, empty family and quick setting.

Belongs here: finding such things in the tables and the configuration. Does not belong here: how
they are laid out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import polars as pl

from btq_assets.config import ProviderSection, TradingConfig
from btq_assets.contracts import features, raw
from btq_assets.reports import formatting as fmt
from btq_assets.reports.frames import CONTRACTS, ReportContext, ReportFrames, label
from btq_assets.reports.view import Caveat

QUICK_BANNER = "quick: no verdict on deep models"
SYNTHETIC_BANNER = "SYNTHETIC: every price is generated"

_RUN, _DATA, _FEATURES = "This run", "Data", "Features and models"
_EVALUATION, _RISK, _REFUSED, _OFF = "Evaluation", "Risk", "Refused rows", "Switched off"
_REPAIRS = "Repairs"
_GENERATED = "SYNTHETIC"

_WHOLE_SPAN = "; decisions of every date read the mended values, also those before it was proposed"

#: Tables without which a part of the report is left out.
_PARTS = ("measures", "exceedances", "drawdowns", "stress", "simulations", "states", "splits")


def caveats(frames: ReportFrames, context: ReportContext) -> tuple[Caveat, ...]:
    """Everything the report has to say before its first number, grouped."""
    return (
        *_of_the_generated_market(frames, context),
        *_of_undated_sectors(frames, context),
        *_of_the_run(frames, context),
        *_of_the_data(frames, context),
        *_of_the_features(frames, context),
        *_of_the_evaluation(frames, context),
        *_of_the_risk(frames),
        *_of_refused_rows(frames),
        *_of_repairs(frames),
        *_switched_off(frames, context),
    )


def banner(config: TradingConfig) -> str:
    """What must not be overlooked, for the head of the page; empty where nothing is."""
    said = {
        SYNTHETIC_BANNER: config.universe.main == raw.SYNTHETIC_UNIVERSE,
        QUICK_BANNER: config.profile == "quick",
    }
    return " · ".join(text for text, applies in said.items() if applies)


def null_families(frames: ReportFrames, universe: str) -> list[tuple[str, int, int]]:
    """Families of which features are entirely missing on the traded universe.

    Returns
    -------
    list of (family, missing features, features)
        Read from the training set: what no model could use.
    """
    rows = frames["training_set"].filter(pl.col("universe") == universe)
    if rows.is_empty():
        return []
    known = set(rows.columns)
    empty = {name for name in rows.columns if rows[name].null_count() == rows.height}
    found = []
    for family in features.FAMILIES:
        names = [name for name in features.feature_names(family) if name in known]
        missing = [name for name in names if name in empty]
        if missing:
            found.append((family, len(missing), len(names)))
    return found


def _of_undated_sectors(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """Sectors have no history: what an asset belongs to today is applied to all of its past."""
    computed = (pl.col("family") == "sector_relative") & pl.col("enabled")
    if frames["catalogue"].filter(computed).is_empty():
        return
    reads = (
        "models read them (models.feature_families)"
        if "sector_relative" in context.config.models.feature_families
        else "no model reads them"
    )
    yield Caveat(
        _RUN,
        "Sectors have no history: features.sector_relative compares every past session by the newest "
        "sector of core.instruments, which was not known then where an asset changed sector; "
        f"{reads}.",
        "Sectors",
    )


def _of_the_generated_market(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    """A generated market stands beside real data, or is what every figure is about."""
    config, settings = context.config, context.config.sources.synthetic
    members = frames["instruments"].filter(pl.col("universe") == raw.SYNTHETIC_UNIVERSE)
    documents = frames["documents"].filter(pl.col("source") == raw.SYNTHETIC_SOURCE)
    if not settings.enabled and members.is_empty() and documents.is_empty():
        return
    if raw.SYNTHETIC_UNIVERSE in (config.universe.main, config.universe.ohlcv):
        yield Caveat(
            _GENERATED,
            "Every figure that rests on universe synthetic is SYNTHETIC: it is computed from "
            "generated prices, and is evidence of nothing but the software.",
            "SYNTHETIC",
        )
    plants = {
        f"an edge of correlation {settings.edge_correlation:g}": settings.edge_correlation != 0,
        f"a change of regime at session {settings.regime_session}": settings.regime_session
        is not None,
        f"an outage of {settings.outage_minutes} minutes": settings.outage_minutes > 0,
        f"{settings.bad_ticks_of_each_kind} bad ticks of each kind": settings.bad_ticks_of_each_kind
        > 0,
        f"an unannounced split at session {settings.missed_split_session}": (
            settings.missed_split_session is not None
        ),
        f"headlines worth {settings.news_drift_bps:g} bps": settings.news_drift_bps > 0,
    }
    planted = ", ".join(name for name, there in plants.items() if there) or "nothing"
    made = (
        f"generated from seed {settings.seed}, planted: {planted}"
        if settings.enabled
        else "generated by an earlier run"
    )
    yield Caveat(
        _GENERATED,
        f"SYNTHETIC: {members.height:,} instruments of universe synthetic and "
        f"{documents.height:,} headlines about them are {made}. What was planted is in "
        "raw.synthetic_truth.",
        "SYNTHETIC",
    )


def _of_the_run(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
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


def _of_the_data(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    universes = context.config.universe
    traded = frames["instruments"].filter(pl.col("universe") == universes.main)
    notes = frames["instruments"] if traded.is_empty() else traded
    for (text,), rows in notes.group_by("caveat", maintain_order=True):
        if text:
            who = _some(rows["symbol"].to_list())
            yield Caveat(_DATA, f"{universes.main} ({who}): {text}", universes.main)
    others = frames["instruments"].filter(pl.col("universe") != universes.main)
    for (universe, text), rows in others.group_by("universe", "caveat", maintain_order=True):
        if text:
            who = _some(rows["symbol"].to_list())
            yield Caveat(_DATA, f"{universe} ({who}): {text}", str(universe))
    yield from _of_revised_bars(frames, universes.main)
    synthetic = frames["documents"].filter(
        pl.col("label") == "SYNTHETIC", pl.col("source") != raw.SYNTHETIC_SOURCE
    )
    if synthetic.height:
        share = synthetic.height / frames["documents"].height
        yield Caveat(
            _DATA,
            f"SYNTHETIC: {synthetic.height:,} headlines ({fmt.percent(share, 0)} of all "
            "documents) are generated from a seed, independent of every price; they can carry no "
            "signal.",
            "SYNTHETIC",
        )
    yield from _of_the_macro(frames)


def _of_revised_bars(frames: ReportFrames, universe: str) -> Iterator[Caveat]:
    """Bars corrected after they were first known: all that follows reads the corrected values."""
    revised = frames["bars"].filter(
        (pl.col("universe") == universe) & pl.col("revised_at").is_not_null()
    )
    if revised.is_empty():
        return
    who = _some(revised["symbol"].unique().sort().to_list())
    yield Caveat(
        _DATA,
        f"{revised.height:,} bars of {universe} ({who}) were corrected or came after their "
        "time. Features and backtests read the values shown from the bar's first day on; "
        "core.bars_1d_as_of(t) gives those of the time.",
        "came after their time",
    )


def _of_the_macro(frames: ReportFrames) -> Iterator[Caveat]:
    macro = frames["macro"]
    revised = macro.filter(pl.col("revision") == "REVISED")["series_id"].unique().sort().to_list()
    if revised:
        yield Caveat(
            _DATA,
            f"REVISED: only the last revised form of {_some(revised, 8)} exists. They are read with "
            "an assumed publication lag, and their values may contain later knowledge.",
            "REVISED",
        )
    if frames["equity"].is_empty() or macro.is_empty():
        return
    _, last_bar = frames.span
    ends = (
        macro.group_by("series_id")
        .agg(last=pl.col("period").max())
        .filter(pl.col("last") < pl.lit(last_bar).dt.date().dt.offset_by("-6mo"))
        .group_by(year=pl.col("last").dt.year())
        .agg(pl.col("series_id").sort())
        .sort("year")
    )
    for year, series in ends.iter_rows():
        yield Caveat(
            _DATA,
            f"Ends early: {_some(series, 6)} end in {year}; features of them are null afterwards, "
            f"while prices run to {fmt.day(last_bar)}.",
            series[0],
        )


def _of_the_features(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    universe = context.config.universe.main
    for family, missing, total in null_families(frames, universe):
        what = "all" if missing == total else f"{missing} of its {total}"
        why = (
            "documents are all SYNTHETIC and are kept from every model"
            if family == "sentiment" and _all_synthetic(frames)
            else "the inputs they need are missing there, so no model saw them"
        )
        yield Caveat(
            _FEATURES, f"Family {family}: {what} features are null on {universe}; {why}.", family
        )
    states = frames["states"]
    bad = states.filter(~pl.col("converged"))
    if bad.height:
        yield Caveat(
            _FEATURES,
            f"Regimes: on {bad.height:,} of {states.height:,} sessions the latest scheduled fit had "
            "not converged, and an earlier one is in force.",
            "Regimes",
        )


def _all_synthetic(frames: ReportFrames) -> bool:
    return frames["documents"]["label"].unique().to_list() == ["SYNTHETIC"]


def _of_the_evaluation(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
    yield Caveat(
        _EVALUATION,
        "Sharpe ratios use a risk-free rate of 0 throughout; cash earns nothing.",
        "risk-free rate",
    )
    for strategy in frames.strategies("benchmark"):
        yield Caveat(
            _EVALUATION,
            f"{strategy} is not comparable: a price index without dividends and without costs.",
            strategy,
        )
    if frames.best_baseline is not None:
        yield Caveat(
            _EVALUATION,
            f"The best simple baseline ({label(frames.best_baseline)}) is chosen with hindsight, by "
            "realised Sharpe ratio over the whole span; the same hindsight picks the strategy shown "
            "in the charts.",
            label(frames.best_baseline),
        )
    yield from _of_the_runs(frames)
    for (note,), rows in (
        frames["deflated_sharpe"].filter(pl.col("note") != "").group_by("note", maintain_order=True)
    ):
        who = _some(rows["strategy"].to_list())
        yield Caveat(_EVALUATION, f"Deflated Sharpe ratio of {who}: {note}.", "Deflated Sharpe")
    rejected = frames["runs"].filter(pl.col("n_rejected_orders") > 0)
    for strategy, n in rejected.select("strategy", "n_rejected_orders").iter_rows():
        yield Caveat(_EVALUATION, f"{strategy}: {n:,} orders refused for want of cash or price.")


def _of_the_runs(frames: ReportFrames) -> Iterator[Caveat]:
    """What could not be modelled; runs that share a remark are named together."""
    runs = frames["runs"].filter(pl.col("role") != "benchmark")
    remarks = [
        (strategy, remark)
        for strategy, notes in runs.select("strategy", "notes").iter_rows()
        for remark in notes.split("; ")
        if remark
    ]
    for remark, places in fmt.merged(remark for _, remark in remarks).items():
        names = [remarks[place][0] for place in places]
        who = "All runs" if len(names) == runs.height else _some(names)
        yield Caveat(_EVALUATION, f"{who}: {remark}.", who)


def _of_the_risk(frames: ReportFrames) -> Iterator[Caveat]:
    measures = frames["measures"]
    for (method,), rows in measures.group_by("method", maintain_order=True):
        invalid = rows.filter(~pl.col("valid")).height
        if invalid:
            share = fmt.percent(invalid / rows.height, 1)
            why = (
                "outside the monotone domain of the Cornish–Fisher expansion, or before the minimum "
                "window"
                if method == "cornish_fisher"
                else "before the minimum window"
            )
            yield Caveat(
                _RISK, f"VaR and CVaR, {method}: {share} of the values are void, {why}.", "VaR"
            )
    missing = frames["stress"].filter(~pl.col("covered"))
    for scenario, note in missing.select("scenario", "note").unique().sort("scenario").iter_rows():
        why = note.removeprefix("not covered: ")
        yield Caveat(_RISK, f"Stress window {scenario} is not covered: {why}.", scenario)


def _of_refused_rows(frames: ReportFrames) -> Iterator[Caveat]:
    counts = (
        frames["quarantine"]
        .group_by("table_name", "reason")
        .len()
        .sort("len", "table_name", "reason", descending=[True, False, False])
    )
    for table, reason, n in counts.head(20).iter_rows():
        yield Caveat(_REFUSED, f"{n:,} × {table}: {reason}.", table)
    if counts.height > 20:
        rest = counts["len"].slice(20).sum()
        yield Caveat(_REFUSED, f"{rest:,} more rows for {counts.height - 20} further reasons.")
    if counts.is_empty():
        yield Caveat(_REFUSED, "No row was refused.")


def _of_repairs(frames: ReportFrames) -> Iterator[Caveat]:
    """What looks wrong in stored bars, and whether the figures here rest on a mended value."""
    repairs = frames["repairs"].sort("table_name", "symbol", "from_ts", "column_name")
    for row in repairs.iter_rows(named=True):
        state = "applied" if row["applied"] else "not applied"
        kind = row["kind"].replace("_", " ")
        yield Caveat(
            _REPAIRS,
            f"{row['symbol']} in {row['dataset']}, {row['column_name']} from "
            f"{row['from_ts']:%Y-%m-%d}: {kind} proposed with confidence {row['confidence']:.2f}, "
            f"{state}{_WHOLE_SPAN if row['applied'] else ''}.",
            row["symbol"],
        )


def _switched_off(frames: ReportFrames, context: ReportContext) -> Iterator[Caveat]:
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


def _some(names: list[str], most: int = 5) -> str:
    """The first names, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
