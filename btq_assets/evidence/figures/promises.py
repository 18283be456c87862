"""The list of promised figures: what is measured, against what, and which side of a bound is kept.

Belongs here: the promises. Does not belong here: what was measured of them (`promised`), measuring
(`tests/performance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["at least", "at most", "reported"]


@dataclass(frozen=True)
class Promise:
    """One promised figure.

    Parameters
    ----------
    figure
        Short name, which the record uses.
    description
        What is measured, against what.
    unit
        Unit of the figure.
    direction
        On which side of `target` a figure keeps the promise; ``reported`` where only its being
        measured is promised.
    target
        What is promised; ``None`` where no bound is.
    command
        What measures it; ``None`` where nothing does yet.
    code
        Modules and packages whose change makes a measured figure one of other code.
    sizes
        Sizes the promise speaks of. A figure measured with others says nothing of it.
    """

    figure: str
    description: str
    unit: str
    direction: Direction
    target: float | None
    command: str | None
    code: tuple[str, ...] = ()
    sizes: Mapping[str, float] = field(default_factory=dict)


def _bench(name: str, arguments: str = "") -> str:
    return f"python tests/performance/bench_{name}.py {arguments}".rstrip()


_LOADING = tuple(
    f"btq_assets.{name}"
    for name in ("definitions", "automation", "contracts", "config", "warehouse")
)
_STORING = ("btq_assets.contracts.base", "btq_assets.warehouse")
_INGESTING = (*_STORING, "btq_assets.sources.market", "data_quality")
_ENGINE = ("btq_assets.engine",)
_LIVE = (
    "btq_assets.features",
    "btq_assets.execution",
    "btq_assets.risk.limits",
    "btq_assets.models",
    "btq_assets.portfolio",
)
_SERVING = tuple(
    f"btq_assets.models.{name}"
    for name in ("arrays", "deep", "graph", "networks", "serving", "windows")
)
_LOOP = {"symbols": 50, "bars": 250}
_TRAINING = tuple(f"btq_assets.models.{name}" for name in ("networks", "training", "windows"))
_FITTING = (
    *_TRAINING,
    "btq_assets.models.deep.fitted_network",
    "btq_assets.models.deep.panel_reader",
    "btq_assets.models.deep.windowed",
    "btq_assets.models.fit_workers",
    "btq_assets.models.walk_forward",
    "btq_assets.models.workers",
)
_PANEL = {"assets": 250, "features": 60, "sessions": 2_500}
_ALPHA = ("btq_assets.features.alpha158", "btq_assets.features.kernels")
_GARCH = ("btq_assets.features.kernels.garch", "btq_assets.features.kernels.garch_paths")
_SWEEPS = (
    "btq_assets.backtest.sweeps",
    "btq_assets.backtest.sweep_kernel",
    "btq_assets.backtest.families",
    "btq_assets.engine",
)
_QLIB = _bench("alpha158", "--symbols 800 --sessions 3500 --rounds 2 --qlib-python PYTHON")
_TASK = {"symbols": 800, "sessions": 3_500}
_GROWTH = _bench("growth", "--rows 1e8")
_KERNELS = {"symbols": 2_000}
_FILE = {"mebibytes": 5_120}
_STOCKS = {"symbols": 250}

STORING = (
    Promise("startup_seconds", "Import of btq_assets.definitions beyond dagster and dagster_dbt, median of fresh processes.", "s", "at most", 1.5, _bench("startup"), _LOADING),
    Promise("run_minutes", "`make run` on bundled data after installation, two cores.", "min", "at most", 6.0, None),
    Promise("storing_ratio", "Contract, commit and version of 1.1 M daily rows against a bare polars read and DuckDB insert, seconds of the processor.", "ratio", "at most", 3.0, _bench("ingest"), _STORING, {"symbols": 250, "sessions": 4_514}),
    Promise("resampling_rate", "650,000 bars of a minute to all longer timeframes.", "bars per second", "at least", 5e6, _bench("ingest"), ("btq_assets.sources.market.resampling", "btq_assets.engine.resampling_kernel"), {"minutes": 650_000}),
    Promise("session_share", "One session added to ten years of 250 symbols, without the suite, over the full ingest, seconds of the processor beyond Dagster's own.", "share", "at most", 0.02, _bench("ingest"), _INGESTING, _STOCKS),
    Promise("session_share_with_suite", "The same with the suite of expectations.", "share", "at most", 0.02, _bench("ingest"), _INGESTING, _STOCKS),
    Promise("ingest_memory", "Peak memory of the process that takes in one file of 5 GiB.", "GiB", "at most", 1.0, _bench("ingest", "--mebibytes 5120"), _INGESTING, _FILE),
    Promise("suite_seconds", "Suite of expectations of raw daily bars, per million rows.", "s", "reported", None, _bench("quality"), ("data_quality",), {"rows": 650_000}),
)  # fmt: skip

FEATURES = (
    Promise("fourteen_to_qlib_warm", "14 factors, 800 shares x 3,500 sessions: pyqlib's time with two processes over ours, later calls.", "ratio", "at least", 20.0, _QLIB, _ALPHA, _TASK),
    Promise("fourteen_to_qlib_cold", "The same, first call in a new process.", "ratio", "at least", 20.0, _QLIB, _ALPHA, _TASK),
    Promise("alpha158_to_qlib_warm", "157 expressions of Alpha158 on that panel: pyqlib's time with two processes over ours, later calls.", "ratio", "at least", 20.0, _QLIB, _ALPHA, _TASK),
    Promise("alpha158_to_qlib_cold", "The same, first call in a new process.", "ratio", "at least", 20.0, _QLIB, _ALPHA, _TASK),
    Promise("alpha158_to_kunquant_warm", "The same expressions: KunQuant's time with two threads over ours, its compiling not counted.", "ratio", "at least", 1.0, _QLIB, _ALPHA, _TASK),
    Promise("alpha158_memory", "Peak memory of those expressions.", "GiB", "at most", 4.0, _QLIB, _ALPHA, _TASK),
    Promise("growth_slope", "Ten expressions over more and more rows: slope of log processor seconds against log rows between a million and the most; 1 is linear, a tenth is allowed for noise.", "ratio", "at most", 1.1, _GROWTH, _ALPHA, {"rows": 1e8}),
    Promise("growth_memory", "Peak memory of ten expressions over 1e8 rows of a minute, in slices.", "GiB", "at most", 4.0, _GROWTH, _ALPHA, {"rows": 1e8}),
    *(
        Promise(f"rolling_{name}", f"Rolling {name}, window 20, over copying what it reads, seconds of the processor.", "ratio", "at most", 3.0, _bench("growth"), ("btq_assets.features.kernels",), _KERNELS)
        for name in ("mean", "std", "covariance", "rank", "maximum", "argmin")
    ),
    Promise("new_session_share", "One new session of the daily set over computing ten years of 500 symbols, seconds of the processor.", "share", "at most", 0.01, _bench("incremental"), ("btq_assets.features",), {"symbols": 500, "sessions": 2_520}),
    Promise("live_update_p99", "Features of one new daily bar of 500 symbols in the streaming path, 99th percentile by the clock.", "ms", "at most", 20.0, _bench("live"), ("btq_assets.features",)),
    Promise("garch_to_arch", "GARCH, GJR and EGARCH refitted monthly, 50 series of ten years: a loop over arch over ours by the clock, per core, the least of the three.", "ratio", "at least", 0.8, _bench("garch", "--series 50"), _GARCH, {"series": 50}),
    Promise("garch_500_series", "The slowest of the three for 500 series, extrapolated from 50.", "s", "reported", None, _bench("garch", "--series 50"), _GARCH, {"series": 50}),
)  # fmt: skip

BACKTESTS = (
    Promise("orders_to_vectorbt", "A million orders of 1,000 assets, warm, over vectorbt's fastest engine that is installed (orders only on its side), seconds of the processor.", "ratio", "at most", 0.5, _bench("orders"), _ENGINE),
    Promise("rebalancing_to_vectorbt", "Target weights of 500 assets on 2,520 days, cash shared, costs on, warm, over vectorbt's time.", "ratio", "at most", 0.5, _bench("engine"), _ENGINE),
    Promise("engine_first_call", "First call of the event engine in a new process, compiled code stored, seconds of the processor.", "s", "at most", 2.0, _bench("orders"), _ENGINE),
    Promise("book_events_rate", "Book updates with orders among them through the event engine, per second of one core.", "events per second", "at least", 1e6, _bench("orders"), _ENGINE),
    Promise("backtrader_speedup", "Bars per second over Backtrader's, the same orders on every bar, seconds of the processor.", "ratio", "at least", 500.0, _bench("orders"), _ENGINE),
    Promise("sweep_cores", "10,000 parameter sets on ten years of 50 assets: share of all cores' time that is used; fully is taken as nine tenths.", "share", "at least", 0.9, _bench("sweeps"), _SWEEPS, {"sets": 10_000}),
    Promise("sweep_memory", "Peak memory of that sweep.", "GiB", "at most", 2.0, _bench("sweeps"), _SWEEPS, {"sets": 10_000}),
    Promise("sweep_cost_falls", "Processor seconds a set of that sweep over those of one of a tenth of its sets.", "ratio", "at most", 1.0, _bench("sweeps"), _SWEEPS, {"sets": 10_000}),
    Promise("pbo_seconds", "Probability of backtest overfitting, all 12,870 splits, 100 trials of 2,500 days, by the clock.", "s", "at most", 5.0, _bench("overfitting"), ("btq_assets.evidence.overfitting",), {"trials": 100, "days": 2_500, "blocks": 16}),
    *(
        Promise(f"live_loop_{model}_p99", f"Paper loop, bar in to orders out, 50 symbols, {model}, 99th percentile by the clock.", "ms", "at most", 10.0, _bench("live_loop"), _LIVE, _LOOP)
        for model in ("ridge", "lightgbm")
    ),
    Promise("live_loop_transformer_gnn_p99", "The same with a small deep model.", "ms", "reported", None, _bench("live_loop"), _LIVE, _LOOP),
)  # fmt: skip

MODELS = (
    Promise("inference_time", "Features in to forecasts out through ONNX Runtime, Transformer-GNN of the quick profile, 20 assets, 99th percentile, one core.", "ms", "at most", 10.0, _bench("serving"), _SERVING, {"assets": 20}),
    *(
        Promise(f"inference_time_{n}", f"The same, {n} assets.", "ms", "reported", None, _bench("serving"), _SERVING, {"assets": n})
        for n in (50, 250, 500)
    ),
    Promise("inference_time_full", "The same, 20 assets, a network of 256 channels, 8 heads and 6 layers over 60 sessions.", "ms", "reported", None, _bench("serving"), _SERVING, {"assets": 20}),
    Promise("gpu_training_speedup", "Training on a GPU against 16 processor cores, the Transformer-GNN of the full profile, dates a second by the clock.", "ratio", "at least", 5.0, _bench("gpu"), _TRAINING, {"assets": 250, "channels": 256, "layers": 6, "threads": 16}),
    Promise("gpu_peak_share", "Share of the card's peak in bfloat16 that the same training reaches.", "share", "reported", None, _bench("gpu"), _TRAINING, {"assets": 250, "channels": 256, "layers": 6}),
    Promise("memory_saved", "Peak memory saved beyond a process with torch and the network: by streaming where windows alone are laid out, by mixed precision, activations computed again and batches in four parts where steps alone are computed, the smaller of the two; losses within 1 %.", "share", "at least", 0.4, _bench("training"), _TRAINING, _PANEL),
    Promise("memory_saved_together", "The same of a whole training, with all of that.", "share", "at least", 0.4, _bench("training"), _TRAINING, _PANEL),
    Promise("distributed_scaling", "Two workers of one thread on two cores over one, folds and seeds of a network, by the clock from their start to the last model.", "ratio", "at least", 1.7, _bench("scaling"), _FITTING, {"fits": 8, "epochs": 40}),
    Promise("distributed_scaling_processor", "The same in seconds of the processor, the slower worker counting: what two free cores give.", "ratio", "at least", 1.7, _bench("scaling"), _FITTING, {"fits": 8, "epochs": 40}),
    Promise("training_to_plain_encoder", "Samples a second of the processor in training over torch's own layers with as many weights: Transformer-GNN over nn.TransformerEncoder, xLSTM over nn.LSTM, the smaller of the two.", "ratio", "at least", 0.8, _bench("training"), _TRAINING, {"dates": 320}),
)  # fmt: skip

PROMISES = (*STORING, *FEATURES, *BACKTESTS, *MODELS)
