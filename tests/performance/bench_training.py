"""Training beside torch's own layers: ``python tests/performance/bench_training.py [--dates 320]``.

Samples per second of a training step (forward, loss, gradients, AdamW) of the Transformer-GNN over
``nn.TransformerEncoder`` and of xLSTM over ``nn.LSTM``, of as many weights as near as whole widths
allow, on the same windows. Then peak memory of one training, streamed, in mixed precision, with
activations computed again and batches in four parts, over the plain one that holds all data in float32;
data alone and computing alone beside it. Every measurement is
a process of its own with one thread; of rates the best of several in turn counts, so that both sides
meet the same load. Nothing passes or fails on speed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import record

N_ASSETS, F, LOOKBACK, BATCH_DATES = 20, 12, 20, 16
DIM, HEADS, LAYERS = 64, 4, 2
#: The panel of the memory measurement: 250 assets of 60 features on 2,500 sessions, 143 MiB.
WIDE = {"assets": 250, "features": 60, "sessions": 2_500}


def network(kind: str, n_features: int):
    """One side of a comparison."""
    from torch import nn

    from btq_assets.models.networks.heads import ForecastHead
    from btq_assets.models.networks.transformer_gnn import TransformerGNN
    from btq_assets.models.networks.xlstm.network import XLSTM

    if kind == "transformer_gnn":
        return TransformerGNN(
            n_features, dim=DIM, heads=HEADS, layers=LAYERS, graph_heads=2, dropout=0.1
        )
    if kind == "xlstm":
        return XLSTM(n_features, dim=DIM, heads=HEADS, layers=LAYERS, dropout=0.1)

    class Plain(nn.Module):
        """torch's layers between a linear map and the same head."""

        def __init__(self, inside: nn.Module, dim: int) -> None:
            super().__init__()
            self.embed, self.inside = nn.Linear(n_features, dim), inside
            self.head = ForecastHead(dim)

        def forward(self, inputs):
            tokens = self.inside(self.embed(inputs.windows))
            return self.head((tokens[0] if isinstance(tokens, tuple) else tokens)[:, -1])

    def encoder(dim: int, width: int) -> nn.Module:
        layer = nn.TransformerEncoderLayer(
            dim, HEADS, width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        return Plain(nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False), dim)

    def count(found: nn.Module) -> int:
        return sum(value.numel() for value in found.parameters())

    if kind == "encoder":
        target = count(network("transformer_gnn", n_features))
        made = [encoder(DIM, width) for width in range(DIM, 6 * DIM, 8)]
    else:
        target = count(network("xlstm", n_features))
        made = [
            Plain(nn.LSTM(dim, dim, LAYERS, batch_first=True, dropout=0.1), dim)
            for dim in range(16, 3 * DIM)
        ]
    return min(made, key=lambda found: abs(count(found) - target))


def dates(n_dates: int, n_assets: int):
    """Labelled dates with five neighbours and a loop for each asset."""
    from btq_assets.models.graph import DateGraph
    from btq_assets.models.windows.samples import DateSamples

    random = np.random.default_rng(1)
    assets = np.arange(n_assets)
    into = np.repeat(assets, 6)
    away = np.concatenate([[asset, *random.choice(n_assets, 5)] for asset in assets])
    graph = DateGraph(np.stack([away, into]), np.ones((len(into), 2), dtype=np.float32))
    return [
        DateSamples(LOOKBACK + day, graph, assets, random.normal(size=(n_assets, 1)))
        for day in range(n_dates)
    ]


def recipe(batch_dates: int, *, mixed: bool = False, parts: int = 1):
    """One epoch at a constant size of batch."""
    from btq_assets.models.training.recipe import Recipe

    return Recipe(
        1,
        1,
        batch_dates,
        1e-3,
        1e-3,
        relative=True,
        seed=0,
        accumulate=parts,
        mixed_precision=mixed,
    )


def rate(kind: str, n_dates: int) -> dict[str, float]:
    """Samples per second of processor time of one epoch, after a short one to warm up."""
    import torch

    from btq_assets.models.training.loop import train
    from btq_assets.models.windows.batches import ArrayWindows

    torch.set_num_threads(1)
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    features = random.normal(size=(n_dates + LOOKBACK, N_ASSETS, F)).astype(np.float32)
    source = ArrayWindows(features, np.ones(features.shape[:2], dtype=bool), LOOKBACK)
    made, days = network(kind, F), dates(n_dates, N_ASSETS)
    train(made, source, days[: 3 * BATCH_DATES], days[:1], recipe(BATCH_DATES))
    started = time.process_time()
    train(made, source, days, days[:1], recipe(BATCH_DATES))
    used = time.process_time() - started
    n_weights = sum(value.numel() for value in made.parameters())
    return {"rate": n_dates * N_ASSETS / used, "weights": n_weights}


def blocks():
    """The wide panel, a hundred sessions at a time."""
    random = np.random.default_rng(0)
    for _ in range(0, WIDE["sessions"], 100):
        shape = (100, WIDE["assets"])
        features = random.standard_normal((*shape, WIDE["features"]), dtype=np.float32)
        yield {"features": features, "present": np.ones(shape, dtype=bool)}


def memory(folder: Path, what: str, which: str) -> dict[str, float]:
    """Peak memory in MiB, of the process and above what it was before it had any data.

    `what` is ``data`` (laying out every batch, no training), ``computing`` (steps on one batch) or
    ``training`` (an epoch). `which` is ``plain`` (all windows in memory, float32), ``streamed`` (windows
    from files), ``mixed`` (bfloat16), ``recomputed`` (activations computed again), ``parts`` (a batch in
    four), ``cheap`` (the last three together) or ``both`` (those, streamed). Seconds are the processor's.
    """
    import torch

    from btq_assets.models.training.loop import train
    from btq_assets.models.training.running import Running
    from btq_assets.models.windows.batches import ArrayWindows
    from btq_assets.models.windows.mapped import MappedWindows

    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = network("transformer_gnn", WIDE["features"])
    days = dates(64, WIDE["assets"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if which in ("streamed", "both") or what == "computing":
        source = MappedWindows(folder, LOOKBACK)
    else:
        arrays = [np.load(folder / f"{name}.npy") for name in ("features", "present")]
        source = ArrayWindows(*arrays, LOOKBACK)
    loss, cheap, started = 0.0, which in ("cheap", "both"), time.process_time()
    if what == "data":
        for start in range(0, len(days), 8):
            source.collate(days[start : start + 8])
    else:
        chosen = days[8:] if what == "training" else days[8:16] * 4
        how = recipe(
            8, mixed=cheap or which == "mixed", parts=4 if cheap or which == "parts" else 1
        )
        running = Running(recompute_activations=cheap or which == "recomputed")
        found = train(made, source, chosen, days[:2], how, running=running)
        loss = found["training_loss"][0]
    seconds = time.process_time() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "peak": after / 1024,
        "above": (after - before) / 1024,
        "loss": loss,
        "seconds": seconds,
    }


def measured(*arguments: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def rates(n_dates: int, repeats: int) -> None:
    """Print both comparisons and record the smaller ratio."""
    pairs = (("transformer_gnn", "encoder"), ("xlstm", "lstm"))
    ratios = []
    for ours, theirs in pairs:
        found: dict[str, list[dict[str, float]]] = {ours: [], theirs: []}
        for _ in range(repeats):
            for kind, runs in found.items():
                runs.append(measured("--rate", kind, "--dates", str(n_dates)))
        best = {kind: max(run["rate"] for run in runs) for kind, runs in found.items()}
        weights = {kind: runs[0]["weights"] for kind, runs in found.items()}
        ratios.append(best[ours] / best[theirs])
        print(
            f"{ours} {best[ours]:,.0f} samples a second ({weights[ours]:,} weights), plain {theirs} "
            f"{best[theirs]:,.0f} ({weights[theirs]:,} weights): {ratios[-1]:.2f}",
            flush=True,
        )
    record("training_to_plain_encoder", min(ratios), dates=n_dates)


def memories() -> None:
    """Print and record what streaming and cheaper steps save."""
    from btq_assets.models.windows.mapped import write_windows

    saved = {}
    print(
        f"{WIDE}: peak MiB of the process, above its start, share saved above it, loss over plain"
    )
    with tempfile.TemporaryDirectory() as folder:
        write_windows(Path(folder), WIDE["sessions"], blocks())
        plain: dict[str, dict[str, float]] = {}
        for what, which in (
            ("data", "streamed"),
            *(("computing", one) for one in ("mixed", "recomputed", "parts", "cheap")),
            ("training", "both"),
        ):
            if what not in plain:
                plain[what] = measured("--memory", what, "--which", "plain", "--folder", folder)
            ours = measured("--memory", what, "--which", which, "--folder", folder)
            saved[what] = 1 - ours["above"] / plain[what]["above"]
            base = plain[what]
            off = ours["loss"] / base["loss"] - 1 if base["loss"] else 0.0
            assert abs(off) < 0.01, f"{what}: the loss is off by {off:.2%}"
            print(
                f"{what:>9}: plain {base['peak']:.0f} and {base['above']:.0f}, {which} "
                f"{ours['peak']:.0f} and {ours['above']:.0f}: {saved[what]:.2f} saved, loss off {off:.3%}, "
                f"{ours['seconds'] / base['seconds']:.2f} times the processor seconds",
                flush=True,
            )
    record("memory_saved", min(saved["data"], saved["computing"]), **WIDE)
    record("memory_saved_together", saved["training"], **WIDE)


def main() -> None:
    """All comparisons."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dates", type=int, default=320, help="of an epoch")
    parser.add_argument("--repeats", type=int, default=3, help="processes for each rate")
    parser.add_argument("--rate", help=argparse.SUPPRESS)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    parser.add_argument("--which", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rate:
        print(json.dumps(rate(given.rate, given.dates)))
    elif given.memory:
        print(json.dumps(memory(given.folder, given.memory, given.which)))
    else:
        print(f"one thread of {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        rates(given.dates, given.repeats)
        memories()


if __name__ == "__main__":
    main()
