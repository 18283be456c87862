"""Alpha158, and fourteen of its factors, against qlib and KunQuant.

    python tests/performance/bench_alpha158.py --qlib-python PYTHON [--symbols 800]
        [--sessions 3500] [--rounds 2]

The sizes in brackets are qlib's published task; without them it is a short one.
The other interpreter (or BTQ_QLIB_PYTHON) has pyqlib and, where it installs, kunquant; without
it they are skipped, and the output says so. All sides compute the same seeded panel
with two processes or threads, one after the other in every round, each in a fresh interpreter:
*cold* is the first computation there, loading libraries and compiled code included, *warm* the
best of the later ones. qlib and we go from uncompressed files on disk (its own format, Parquet) to
a frame in memory; KunQuant is given
matrices in memory and returns matrices, its compiling is told apart.
Processor time is shown beside wall time, since other work on the machine disturbs it less.

qlib publishes its task (14 factors, 800 shares, daily 2007 to 2020) but not the factors; those
here are in `FOURTEEN`.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

FIELDS = ("open", "high", "low", "close", "volume")
FOURTEEN = (
    "KMID", "KSFT", "ROC5", "ROC20", "MA5", "MA20", "STD20", "MAX20", "MIN20", "RSV20", "CORR20",
    "VMA20", "VSTD20", "SUMP20",
)  # fmt: skip
#: Symbols whose values the sides write down to be compared.
COMPARED = 8
TIMES = ("cold", "warm", "processor")
#: Relative, or absolute: qlib adds and divides prices in single precision.
RELATIVE, ABSOLUTE = 2e-5, 2e-5


def our_name(name: str) -> str:
    """qlib's name in our spelling: ROC5 is roc_5, KMID2 is kmid2."""
    if name.startswith("K"):
        return name.lower()
    letters = name.rstrip("0123456789")
    return f"{letters}_{name[len(letters) :]}".lower()


def make_panel(folder: Path, n_symbols: int, n_sessions: int) -> None:
    """Write seeded random walks for every side: qlib's files, a Parquet file, matrices."""
    import polars as pl

    random = np.random.default_rng(158)
    days, day = [], dt.date(2007, 1, 1)
    while len(days) < n_sessions:
        if day.weekday() < 5:
            days.append(day)
        day += dt.timedelta(days=1)
    shape = (n_symbols, n_sessions)
    close = 30 * np.exp(np.cumsum(random.normal(2e-4, 0.02, shape), axis=1))
    opened = close * np.exp(random.normal(0, 0.005, shape))
    high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0, 0.006, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(random.normal(0, 0.006, shape)))
    volume = np.round(np.exp(random.normal(13, 0.4, shape)))
    fields = [values.astype(np.float32) for values in (opened, high, low, close, volume)]

    root = folder / "qlib"
    for name in ("calendars", "instruments", "features"):
        (root / name).mkdir(parents=True)
    (root / "calendars" / "day.txt").write_text("\n".join(map(str, days)))
    symbols = [f"S{number:04d}" for number in range(n_symbols)]
    (root / "instruments" / "all.txt").write_text(
        "\n".join(f"{symbol}\t{days[0]}\t{days[-1]}" for symbol in symbols)
    )
    for number, symbol in enumerate(symbols):
        (root / "features" / symbol.lower()).mkdir()
        for name, values in zip(FIELDS, fields, strict=True):
            path = root / "features" / symbol.lower() / f"{name}.day.bin"
            np.hstack([[0], values[number]]).astype("<f4").tofile(path)

    columns = dict(
        zip(FIELDS, (values.reshape(-1).astype(float) for values in fields), strict=True)
    )
    stamps = pl.Series(days).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    pl.DataFrame(
        {
            "universe": pl.repeat("u", n_symbols * n_sessions, eager=True),
            "symbol": np.repeat(symbols, n_sessions),
            "ts": pl.concat([stamps] * n_symbols),
            **columns,
            **{f"adj_{name}": columns[name] for name in FIELDS[:4]},
        }
    ).write_parquet(folder / "bars.parquet", compression="uncompressed")
    np.savez(folder / "matrices.npz", **dict(zip(FIELDS, (v.T for v in fields), strict=True)))


def timed(work: Callable[[], object], runs: int) -> tuple[object, list[dict[str, float]]]:
    """The last result, and wall and processor seconds of each run, those of children included."""
    found, times = None, []
    for _ in range(runs):
        found = None  # so that two results are never held at once
        before, start = os.times(), time.perf_counter()
        found = work()
        wall, after = time.perf_counter() - start, os.times()
        used = sum(after[:4]) - sum(before[:4])
        times.append({"wall": wall, "processor": used})
    return found, times


def _report(times: list[dict[str, float]], **more: object) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print("RESULT " + json.dumps({"times": times, "peak": peak, "child_peak": child, **more}))


def side_btquant(folder: Path, names: list[str], runs: int) -> None:
    """Read bars, compute, hold the frame."""
    start = time.perf_counter()
    import polars as pl

    from btq_assets.features import alpha158

    wanted = [our_name(name) for name in names]

    def work() -> pl.DataFrame:
        bars = pl.read_parquet(folder / "bars.parquet")
        return alpha158.compute(bars, wanted, compatible=True)

    loading = time.perf_counter() - start
    frame, times = timed(work, runs)
    assert isinstance(frame, pl.DataFrame)
    times[0]["wall"] += loading
    rows = frame.height // frame["symbol"].n_unique() * COMPARED
    part = frame.head(rows).select(f"alpha158_{name}" for name in wanted)
    np.save(folder / "btquant.npy", part.to_numpy())
    _report(times, shape=frame.shape)


def side_qlib(folder: Path, names: list[str], runs: int) -> None:
    """The same by qlib's expression engine."""
    start = time.perf_counter()
    import qlib
    from qlib.contrib.data.loader import Alpha158DL
    from qlib.data import D

    provider = str(folder / "qlib")
    qlib.init(provider_uri=provider, kernels=2, expression_cache=None, dataset_cache=None)
    expressions = dict(zip(*reversed(Alpha158DL.get_feature_config()), strict=True))
    loading = time.perf_counter() - start

    def work():
        return D.features(D.instruments("all"), [expressions[name] for name in names])

    frame, times = timed(work, runs)
    times[0]["wall"] += loading
    rows = len(frame) // frame.index.get_level_values(0).nunique() * COMPARED
    np.save(folder / "qlib.npy", frame.iloc[:rows].to_numpy(np.float32))
    _report(times, shape=frame.shape)


def side_kunquant(folder: Path, names: list[str], runs: int) -> None:
    """The same by code that KunQuant generates and compiles; matrices in, matrices out."""
    start = time.perf_counter()
    from KunQuant.Driver import KunCompilerConfig
    from KunQuant.jit import cfake
    from KunQuant.Op import Builder, Input, Output
    from KunQuant.predefined.Alpha158 import AllData
    from KunQuant.runner import KunRunner
    from KunQuant.Stage import Function

    builder = Builder()
    with builder:
        data = AllData(**{name: Input(name) for name in FIELDS}, amount=Input("amount"))
        prices = [(name.upper(), getattr(data, name)) for name in FIELDS[:3]]
        found = data.build(
            {"kbar": {}, "price": {"windows": [0], "feature": prices}, "rolling": {}}
        )
        for expression, name in zip(*found, strict=True):
            if name in names:
                Output(expression, name)
    options = {"opt_reduce": True, "fast_log": True}
    config = KunCompilerConfig(input_layout="TS", output_layout="TS", options=options)
    library = cfake.compileit(
        [("alpha158", Function(builder.ops), config)], "alpha158", cfake.CppCompilerConfig()
    )
    module = library.getModule("alpha158")
    executor = KunRunner.createMultiThreadExecutor(2)
    with np.load(folder / "matrices.npz") as stored:
        given = {name: np.ascontiguousarray(stored[name]) for name in FIELDS}
    given["amount"] = given["close"] * given["volume"]
    sessions = given["close"].shape[0]
    compiling = time.perf_counter() - start
    out, times = timed(
        lambda: KunRunner.runGraph(executor, module, given, 0, sessions), runs
    )  # fmt: skip
    _report(times, shape=(given["close"].size, len(out)), compiling=compiling)


SIDES = {"btquant": side_btquant, "qlib": side_qlib, "kunquant": side_kunquant}


def ask(side: str, python: str, folder: Path, names: list[str], runs: int) -> dict | None:
    """Run one side in its interpreter; ``None``, and a word why, where it cannot."""
    command = [python, __file__, "--side", side, "--folder", str(folder), "--runs", str(runs)]
    command += ["--names", *names]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if side == "btquant":
        environment["PYTHONPATH"] = str(root)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
    answers = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not answers:
        why = done.stderr.strip().splitlines()[-1:] or ["no output"]
        print(f"SKIPPED {side}: {why[0]}")
        return None
    return json.loads(answers[0].removeprefix("RESULT "))


def compare(folder: Path, names: list[str]) -> None:
    """Say how many expressions agree with qlib's on the symbols written down."""
    ours, theirs = np.load(folder / "btquant.npy"), np.load(folder / "qlib.npy")
    wrong = []
    for column, name in enumerate(names):
        a, b = ours[:, column], theirs[:, column]
        same_places = np.array_equal(np.isfinite(a), np.isfinite(b))
        if not same_places or not np.allclose(a, b, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True):
            wrong.append(name)
    print(f"values: {len(names) - len(wrong)} of {len(names)} expressions equal qlib's", *wrong)


Best = dict[str, dict[str, float]]


def race(folder: Path, names: list[str], pythons: dict[str, str], rounds: int) -> Best:
    """All sides in turn, and the best times of each that answered."""
    found: dict[str, list[dict]] = {}
    for _ in range(rounds):
        for side, python in pythons.items():
            if side not in found or found[side]:
                runs = 2 if side == "qlib" and len(names) > 20 else 3
                answer = ask(side, python, folder, names, runs)
                found.setdefault(side, []).extend([answer] if answer else [])
    if found.get("qlib"):
        compare(folder, names)
    best: Best = {}
    for side, answers in found.items():
        if not answers:
            continue
        cold = min(answer["times"][0]["wall"] for answer in answers)
        warm = min(run["wall"] for answer in answers for run in answer["times"][1:])
        used = min(run["processor"] for answer in answers for run in answer["times"][1:])
        peak = max(answer["peak"] for answer in answers)
        child = max(answer["child_peak"] for answer in answers)
        more = f", compiling {answers[0]['compiling']:.1f} s" if "compiling" in answers[0] else ""
        print(
            f"{side:9} cold {cold:7.2f} s  warm {warm:7.2f} s  processor {used:7.2f} s  "
            f"peak {peak:.2f} GiB (largest child {child:.2f}){more}"
        )
        best[side] = {"cold": cold, "warm": warm, "processor": used, "peak": peak}
    for side in best.keys() - {"btquant"}:
        ratios = {key: best[side][key] / best["btquant"][key] for key in TIMES}
        text = ", ".join(f"{key} {ratio:.1f}" for key, ratio in ratios.items())
        print(f"{side} takes longer by: {text}")
    return best


def keep(task: str, best: Best, sizes: dict[str, int]) -> None:
    """Record what is promised of a task, by the clock."""
    from record import record

    ours = best["btquant"]
    short = "fourteen" if task == "fourteen" else "alpha158"
    if "qlib" in best:
        for when in ("warm", "cold"):
            record(f"{short}_to_qlib_{when}", best["qlib"][when] / ours[when], **sizes)
    if task == "all":
        record("alpha158_memory", ours["peak"], **sizes)
        if "kunquant" in best:
            record("alpha158_to_kunquant_warm", best["kunquant"]["warm"] / ours["warm"], **sizes)


def main() -> None:
    """Make the panel, run both tasks."""
    # Not at the top: the peers' interpreter runs this file too, and has none of ours.
    try:
        from record import size
    except ModuleNotFoundError:

        def size(_: int, short: int) -> int:
            return short

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--symbols", type=int, default=size(800, 100))
    parser.add_argument("--sessions", type=int, default=size(3_500, 1_250))
    parser.add_argument("--rounds", type=int, default=size(2, 1))
    parser.add_argument("--qlib-python", default=os.environ.get("BTQ_QLIB_PYTHON", ""))
    parser.add_argument("--task", choices=("fourteen", "all", "both"), default="both")
    parser.add_argument("--without", choices=("qlib", "kunquant"), help="Leave a side out.")
    parser.add_argument("--side", choices=tuple(SIDES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--names", nargs="*")
    given = parser.parse_args()
    if given.side:
        SIDES[given.side](given.folder, given.names, given.runs)
        return
    from btq_assets.features import alpha158

    names = [name.replace("_", "").upper() for name in alpha158.NAMES if name != "vwap_0"]
    pythons = {"btquant": sys.executable}
    if given.qlib_python:
        pythons |= {"qlib": given.qlib_python, "kunquant": given.qlib_python}
    else:
        print(
            "SKIPPED qlib and kunquant: give --qlib-python or BTQ_QLIB_PYTHON, an interpreter of an "
            "environment with `pip install pyqlib kunquant`"
        )
    if pythons.pop(given.without or "", None):
        print(f"SKIPPED {given.without}: left out")
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{given.symbols} symbols x {given.sessions} sessions; {cores} cores, load {load:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_panel(folder, given.symbols, given.sessions)
        for task, some in (("fourteen", list(FOURTEEN)), ("all", names)):
            if given.task in (task, "both"):
                print(f"\n{len(some)} expressions, {given.rounds} rounds")
                best = race(folder, some, pythons, given.rounds)
                keep(task, best, {"symbols": given.symbols, "sessions": given.sessions})
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
