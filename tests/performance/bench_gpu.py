"""Training on a card beside processors: ``python tests/performance/bench_gpu.py [--assets 250]``.

Dates per second by the clock of one epoch of the Transformer-GNN of the full size (256 channels, 8 heads,
6 layers, windows of 60 sessions): on the card in bfloat16 with batches made ahead, and on 16 threads of
processors in float32, over fewer dates, which take as long each. The share of the card's peak counts the
multiplications of matrix products and attention, forward and back, as torch counts them, over
``--peak-tflops`` (989 of an H100 in bfloat16 without sparsity). Without a card it says so and measures
nothing; ``--device cpu`` takes processors in its place, to try this file, and records nothing. Nothing
passes or fails on speed.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np
from bench_training import dates, recipe
from record import record

F, LOOKBACK, THREADS, BATCH_DATES = 12, 60, 16, 16


def network(n_features: int, dim: int, layers: int):
    """The Transformer-GNN of the full size, or smaller."""
    from btq_assets.models.networks.transformer_gnn import TransformerGNN

    return TransformerGNN(n_features, dim=dim, heads=8, layers=layers, graph_heads=2, dropout=0.1)


def source_of(n_dates: int, n_assets: int, device: str):
    """Windows of noise; for a card, batches are made on the processor and copied."""
    from btq_assets.models.windows.batches import ArrayWindows

    random = np.random.default_rng(0)
    features = random.normal(size=(n_dates + LOOKBACK, n_assets, F)).astype(np.float32)
    made_on = "cpu" if device.startswith("cuda") else device
    present = np.ones(features.shape[:2], dtype=bool)
    return ArrayWindows(features, present, LOOKBACK, device=made_on)


def rate(given: argparse.Namespace, device: str, n_dates: int, *, mixed: bool) -> float:
    """Dates per second of an epoch, after a short one to warm up; each step waits for its loss."""
    import torch

    from btq_assets.models.training.loop import train

    torch.manual_seed(0)
    source = source_of(n_dates, given.assets, device)
    made = network(F, given.dim, given.layers).to(device)
    # `dates` begins where bench_training's shorter windows are full; the first ones here are padded.
    days = dates(n_dates, given.assets)
    train(made, source, days[: 2 * BATCH_DATES], days[:1], recipe(BATCH_DATES, mixed=mixed))
    started = time.perf_counter()
    train(made, source, days, days[:1], recipe(BATCH_DATES, mixed=mixed))
    return n_dates / (time.perf_counter() - started)


def operations_of_a_date(given: argparse.Namespace) -> float:
    """Floating-point operations of a training step for one date, by torch's own counter."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from btq_assets.models.training.losses import loss_named

    source = source_of(2, given.assets, "cpu")
    batch = source.collate(dates(2, given.assets))
    made = network(F, given.dim, given.layers)
    with FlopCounterMode(display=False) as counter, torch.enable_grad():
        loss_named("huber")(made(batch.inputs), batch, relative=True).backward()
    return counter.get_total_flops() / 2


def main() -> None:
    """Card, processors, their ratio and the share of the peak."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--assets", type=int, default=250)
    parser.add_argument("--dates", type=int, default=512, help="of an epoch on the card")
    parser.add_argument("--processor-dates", type=int, default=64, help="of one on processors")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    given = parser.parse_args()
    import torch

    on_card = given.device.startswith("cuda")
    if on_card and not torch.cuda.is_available():
        print("SKIPPED: torch sees no GPU; --device cpu tries this file without one")
        return
    print(f"{torch.cuda.get_device_name() if on_card else given.device}, {os.cpu_count()} cores")
    card = rate(given, given.device, given.dates, mixed=True)
    torch.set_num_threads(min(THREADS, os.cpu_count() or 1))
    threads = torch.get_num_threads()
    processors = rate(given, "cpu", given.processor_dates, mixed=False)
    share = card * operations_of_a_date(given) / (given.peak_tflops * 1e12)
    print(
        f"{card:.1f} dates/s against {processors:.2f} on {threads} threads: {card / processors:.1f}x"
    )
    print(f"{share:.1%} of {given.peak_tflops:g} TFLOP/s")
    if on_card:
        sizes = {"assets": given.assets, "channels": given.dim, "layers": given.layers}
        record("gpu_training_speedup", card / processors, threads=threads, **sizes)
        record("gpu_peak_share", share, **sizes)


if __name__ == "__main__":
    main()
