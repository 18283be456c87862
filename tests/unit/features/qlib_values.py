"""Make `qlib_values.npz`: expressions evaluated by qlib's own operators on a small panel.

    <interpreter with pyqlib> tests/unit/features/qlib_values.py [FILE]

The panel is seeded and nasty: prices that repeat, a stretch where nothing moves, missing bars,
sessions without volume, one symbol that starts late. It is written in qlib's own file format and
read by qlib's data layer, so that every value has passed through its expression engine. Made with
pyqlib 0.9.7; the file holds the panel, too.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

FIELDS = ("open", "high", "low", "close", "volume", "vwap")
SESSIONS = 150
#: Sessions each symbol starts after the first.
LATE = (0, 35)
#: Of the 360 expressions only those of these days ago are kept.
DAYS_AGO = (0, 1, 59)
FILE = Path(__file__).with_suffix(".npz")


def panel() -> list[np.ndarray]:
    """Fields of each symbol, ``float32[6, sessions]``."""
    random = np.random.default_rng(158)
    found = []
    for number, late in enumerate(LATE):
        n = SESSIONS - late
        # Prices on a coarse grid repeat, which is where ranks and places of extremes differ.
        close = np.round(20 * np.exp(np.cumsum(random.normal(0, 0.02, n))), 1)
        close[60:75] = close[60]
        opened = np.round(close * np.exp(random.normal(0, 0.005, n)), 1)
        high = np.maximum(opened, close) + np.round(random.exponential(0.1, n), 1)
        low = np.minimum(opened, close) - np.round(random.exponential(0.1, n), 1)
        volume = np.round(np.exp(random.normal(9, 0.5, n)))
        volume[62:66] = volume[62]
        volume[[20, 21, 90]] = 0
        vwap = (high + low + close) / 3
        fields = np.stack([opened, high, low, close, volume, vwap])
        if number == 0:
            fields[:, [50, 100, 101]] = np.nan
        found.append(fields.astype(np.float32))
    return found


def write_bins(folder: Path, panels: list[np.ndarray]) -> list[str]:
    """Write a panel in qlib's format and return its calendar."""
    days = np.datetime_as_string(np.datetime64("2015-01-01") + np.arange(SESSIONS))
    for name in ("calendars", "instruments", "features"):
        (folder / name).mkdir(parents=True)
    (folder / "calendars" / "day.txt").write_text("\n".join(days))
    lines = []
    for number, (late, fields) in enumerate(zip(LATE, panels, strict=True)):
        symbol = f"s{number}"
        lines.append(f"{symbol.upper()}\t{days[late]}\t{days[-1]}")
        (folder / "features" / symbol).mkdir()
        for name, values in zip(FIELDS, fields, strict=True):
            path = folder / "features" / symbol / f"{name}.day.bin"
            np.hstack([[late], values]).astype("<f4").tofile(path)
    (folder / "instruments" / "all.txt").write_text("\n".join(lines))
    return list(days)


def main() -> None:
    """Evaluate and write."""
    import qlib
    from qlib.contrib.data.loader import Alpha158DL, Alpha360DL
    from qlib.data import D

    panels = panel()
    with tempfile.TemporaryDirectory() as name:
        days = write_bins(Path(name), panels)
        qlib.init(provider_uri=name, kernels=1, expression_cache=None, dataset_cache=None)
        out: dict[str, np.ndarray] = {}
        for key, loader in (("alpha158", Alpha158DL), ("alpha360", Alpha360DL)):
            expressions, names = loader.get_feature_config()
            if key == "alpha360":
                kept = [i for i, n in enumerate(names) if n.strip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") in map(str, DAYS_AGO)]  # fmt: skip
                expressions, names = [expressions[i] for i in kept], [names[i] for i in kept]
            frame = D.features(D.instruments("all"), expressions, days[0], days[-1])
            symbols = frame.index.get_level_values("instrument")
            parts = [frame[symbols == f"S{n}"].to_numpy(np.float32) for n in range(len(LATE))]
            out[key] = np.concatenate(parts).T
            out[f"{key}_names"] = np.array(names)
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    np.savez_compressed(
        target, fields=np.concatenate(panels, axis=1),
        starts=np.cumsum([0, *(SESSIONS - late for late in LATE)]), **out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
