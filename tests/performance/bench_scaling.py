"""Two workers over one: ``python tests/performance/bench_scaling.py [--fits 8] [--engine ray]``.

The same fits of the Transformer-GNN (20 assets, folds and seeds of a panel of noise) by one worker and
by two, one thread each, as `models.training.workers` makes them: by the clock, from the first process
started to the last model read back; and in seconds of the processor, where a worker takes as long as
its own fits and the slowest worker counts. The latter is what two free cores give, however busy the
machine is. Nothing passes or fails on speed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from record import record, size

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

N_ASSETS, N_SESSIONS = 20, 1_500


def work(epochs: int):
    """What all fits read, and the folds."""
    import network_house
    import torch

    from btq_assets.models.fit_workers import Work
    from btq_assets.models.folds import splits
    from btq_assets.models.plans import deep_plan

    torch.set_num_threads(1)
    network_house.N_ASSETS, network_house.N_SESSIONS = N_ASSETS, N_SESSIONS
    config = network_house.small_config(
        walk_forward={
            "first_test": "2013-06-01",
            "test_months": 4,
            "max_folds": 4,
            "train_years": 3,
            "validation_months": 4,
        },
        transformer={"model_dim": 32, "num_heads": 4, "epochs": epochs, "patience": epochs},
    )
    frame = network_house.training_frame(config)
    plan = deep_plan("transformer_gnn", config, code_version="bench")
    return Work(frame, plan, "bench", None), splits(frame, config)


def timed(shared, task):
    """One fit, who made it, and its seconds of the processor."""
    import torch_geometric.nn  # noqa: F401 - loading it is no part of a fit

    from btq_assets.models.fit_workers import fitted

    started = time.process_time()
    made = fitted(shared, task)
    return os.getpid(), time.process_time() - started, made


def workers_for(engine: str, n: int):
    """As `models.training` names them; one is a process of its own too."""
    from btq_assets.models.workers import Processes, RayWorkers

    return RayWorkers(n) if engine == "ray" else Processes(n)


def measured(engine: str, n: int, shared, tasks) -> tuple[float, float, list]:
    """Seconds by the clock, seconds of the processor of the slowest worker, and the models."""
    started = time.perf_counter()
    found = workers_for(engine, n).map(timed, shared, tasks)
    clock = time.perf_counter() - started
    spent: dict[int, float] = {}
    for who, seconds, _ in found:
        spent[who] = spent.get(who, 0.0) + seconds
    return clock, max(spent.values()), [made for *_, made in found]


def main() -> None:
    """One worker, two workers, and what is the same."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--fits", type=int, default=size(8, 4))
    parser.add_argument("--epochs", type=int, default=size(40, 8))
    parser.add_argument("--engine", choices=("processes", "ray"), default="processes")
    given = parser.parse_args()
    from btq_assets.models.walk_forward import Task

    shared, folds = work(given.epochs)
    rows = list(folds.iter_rows(named=True))
    tasks = [Task(rows[n % len(rows)], "base", n // len(rows)) for n in range(given.fits)]
    load = os.getloadavg()[0]
    print(f"{len(tasks)} fits, {os.cpu_count()} cores, load {load:.1f}, {given.engine}", flush=True)
    one = measured(given.engine, 1, shared, tasks)
    two = measured(given.engine, 2, shared, tasks)
    assert [a.files for a in one[2]] == [b.files for b in two[2]], "models differ"
    clock, processor = one[0] / two[0], one[1] / two[1]
    print(
        f"one worker {one[0]:.1f} s by the clock and {one[1]:.1f} s of the processor, two "
        f"{two[0]:.1f} and {two[1]:.1f} (the slower): {clock:.2f} and {processor:.2f} times as fast; "
        "models are the same to the last byte"
    )
    if given.engine == "processes":
        record("distributed_scaling", clock, fits=len(tasks), epochs=given.epochs)
        record("distributed_scaling_processor", processor, fits=len(tasks), epochs=given.epochs)


if __name__ == "__main__":
    main()
