"""From features to forecasts through ONNX Runtime, one core: the live path of a served network.

    nice -n -15 python tests/performance/bench_serving.py

A panel as a live loop holds it (the sessions that windows and graphs reach back, one decision at its
end) goes in, forecasts in label units come out: laying out, scaling, the relation graph of the date,
the network. The Transformer-GNN of the quick profile on 20, 50, 250 and 500 assets; at 20 also the
other number formats, torch itself, and the Transformer-GNN of 256 channels, 8 heads and 6 layers.
Weights are random: time does not depend on them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import polars as pl
from record import record, size

from btq_assets.config import TradingConfig
from btq_assets.models import design
from btq_assets.models.deep.transformer_gnn import TransformerGNNForecaster
from btq_assets.models.deep.windowed import DEFAULT_FEATURES
from btq_assets.models.plans import deep_spec
from btq_assets.models.serving.forecaster import OnnxForecaster, write_served

ASSETS = (20, 50, 250, 500)


def panel_of(n_assets: int, n_sessions: int) -> pl.DataFrame:
    """Sessions of random features and returns; the last one decides."""
    random = np.random.default_rng(n_assets)
    start = dt.datetime(2020, 1, 1, 21, tzinfo=dt.UTC)
    ts = [start + dt.timedelta(days=day) for day in range(n_sessions)]
    n = n_assets * n_sessions
    return pl.DataFrame(
        {
            "universe": ["bench"] * n,
            "symbol": np.repeat([f"S{i:03d}" for i in range(n_assets)], n_sessions),
            "ts": ts * n_assets,
            "is_decision": ([False] * (n_sessions - 1) + [True]) * n_assets,
            "session_return": random.normal(scale=0.01, size=n),
            **{name: random.normal(size=n) for name in DEFAULT_FEATURES},
        }
    )


def forecaster_of(profile: str) -> TransformerGNNForecaster:
    """The network of a profile with random weights and a neutral scaler."""
    import torch

    torch.manual_seed(0)
    spec = deep_spec("transformer_gnn", TradingConfig(), seed=0)
    if profile == "full":
        wide = {"model_dim": 256, "num_heads": 8, "num_layers": 6, "graph_heads": 8}
        spec = replace(spec, **wide, lookback_sessions=60)
    made = TransformerGNNForecaster(spec)
    n = len(DEFAULT_FEATURES)
    made._features = DEFAULT_FEATURES
    made._scaler = design.Standardiser(np.zeros(n), np.ones(n))
    made._network = made.new_network(n).eval()
    return made


def timed(forecaster: object, panel: pl.DataFrame, rounds: int) -> np.ndarray:
    """Milliseconds of each call by the clock and by the processor, after some to warm up."""
    for _ in range(20):
        forecaster.predict(panel)
    taken = []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        forecaster.predict(panel)
        taken.append((time.perf_counter() - began, time.process_time() - worked))
    return 1e3 * np.array(taken)


def said(what: str, taken: np.ndarray) -> float:
    """Print a line; returns the 99th percentile by the clock."""
    (p50, cpu50), (p99, cpu99) = np.percentile(taken, [50, 99], axis=0)
    print(
        f"{what:26} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms   "
        f"of the processor p50 {cpu50:8.2f} ms   p99 {cpu99:8.2f} ms"
    )
    return float(p99)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=size(1_000, 300))
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        quick, folder = forecaster_of("quick"), Path(made) / "quick"
        history = quick.history_sessions + 1
        small = panel_of(20, history)
        losses = write_served(quick, folder, small, precisions=("fp16", "int8"), bound=0.0)
        for n_assets in ASSETS:
            panel = panel_of(n_assets, history)
            rounds = given.rounds if n_assets <= 50 else given.rounds // 10
            taken = timed(OnnxForecaster.load(folder), panel, rounds)
            record(
                "inference_time" if n_assets == 20 else f"inference_time_{n_assets}",
                said(f"quick, {n_assets} assets", taken),
                assets=n_assets,
            )
        for precision in ("fp16", "int8"):
            served = OnnxForecaster.load(folder, precision=precision)
            said(f"quick, 20 assets, {precision}", timed(served, small, given.rounds))
        said("quick, 20 assets, torch", timed(quick, small, given.rounds))
        for loss in losses:
            print(
                f"{loss.precision}: rank correlation {loss.rank_correlation:.4f} (random weights)"
            )
        full, folder = forecaster_of("full"), Path(made) / "full"
        write_served(full, folder, small)
        taken = timed(OnnxForecaster.load(folder), small, given.rounds // 10)
        record("inference_time_full", said("256/8/6, 20 assets", taken), assets=20)


if __name__ == "__main__":
    main()
