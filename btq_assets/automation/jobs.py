"""Jobs: what is run together. `research` is all that every run can afford, and needs no partition key."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from btq_assets.warehouse.published_asset import PUBLISHED_KEY

#: Job → groups it materializes, each followed by publishing.
JOB_GROUPS: dict[str, tuple[str, ...]] = {
    "ingest": ("raw", "core"),
    "features": ("features", "regimes"),
    "train": ("models", "agents"),
    "backtest": ("portfolio", "backtest", "execution"),
    "risk": ("evidence", "risk", "mart", "report"),
    "controls": ("controls",),
    "controls_deep": ("controls_deep",),
    "networks": ("networks",),
    "ensembles": ("ensembles",),
    "search": ("search",),
    "comparison": ("comparison",),
}

#: Groups that take too long for every run; they have jobs of their own.
APART = ("controls", "controls_deep", "networks", "ensembles", "search", "comparison")

DESCRIPTIONS = {
    "research": "Everything from source to published report, re-using what is unchanged.",
    "ingest": "Raw tables and the core built from them.",
    "features": "Feature families and regimes.",
    "train": "Training set, forecasts and their explanations.",
    "train_gpu": "Forecasts of every network, each step where `execution.gpu` says.",
    "backtest": "Target weights, those of agents too, backtests and what trading cost.",
    "risk": "Evidence, risk, marts and the report.",
    "networks": "Every network beside the one of `research`: graphs, xLSTM, LSTM, perceptron, FT-Transformer.",
    "comparison": "Every architecture and seed on the same folds, judged; each without its components.",
    "ensembles": "Forecasts of several models combined, deep ensembles over seeds, conformal intervals.",
    "search": "Hyper-parameters of one family, tried before the first test segment; applies nothing.",
    "controls": "Models on null markets, planted edges and leaks; the sensitivity surface.",
    "controls_deep": "The controls with a deep model; as many markets as the configuration says.",
}

#: Dagster's own step events go to the UI; the console keeps to one line a table.
_QUIET_CONSOLE = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}


def local_jobs(remote: Sequence[dg.AssetKey]) -> list[dg.UnresolvedAssetJobDefinition]:
    """`research` and one job per stage; tables of remote providers have jobs of their own."""
    left_out = dg.AssetSelection.assets(*remote) if remote else None

    def job(name: str, selection: dg.AssetSelection) -> dg.UnresolvedAssetJobDefinition:
        return dg.define_asset_job(
            name,
            selection=selection - left_out if left_out else selection,
            description=DESCRIPTIONS[name],
            config=_QUIET_CONSOLE,
        )

    published = dg.AssetSelection.assets(PUBLISHED_KEY)
    return [
        job("research", dg.AssetSelection.all() - dg.AssetSelection.groups(*APART)),
        *(
            job(name, dg.AssetSelection.groups(*groups) | published)
            for name, groups in JOB_GROUPS.items()
        ),
    ]


def train_gpu_job(
    keys: Sequence[dg.AssetKey], executor: dg.ExecutorDefinition
) -> dg.UnresolvedAssetJobDefinition:
    """Job over the forecasts of networks, which train in the pool ``gpu``, on its own executor."""
    return dg.define_asset_job(
        "train_gpu",
        selection=dg.AssetSelection.assets(*keys, PUBLISHED_KEY),
        description=DESCRIPTIONS["train_gpu"],
        executor_def=executor,
        config=_QUIET_CONSOLE,
    )


def provider_job(
    provider: str, keys: Sequence[dg.AssetKey], partitions: dg.PartitionsDefinition | None
) -> dg.UnresolvedAssetJobDefinition:
    """Job over the raw tables of one remote provider."""
    cut = " One partition or a range of them at a time." if partitions else ""
    return dg.define_asset_job(
        f"ingest_{provider}",
        selection=dg.AssetSelection.assets(*keys),
        partitions_def=partitions,
        description=f"Raw tables of {provider}.{cut} The job `ingest` takes them on to core.",
        config=_QUIET_CONSOLE,
    )
