"""A loop in a process of its own, killed with signal 9 at the write it is told.

python kill_nine_case.py FOLDER WRITE HOW [limits]      HOW: before, torn, after; WRITE -1: never

With `limits` two orders a minute are allowed, and three are wanted.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import live_cases as cases

from btq_assets.execution.live import Journal, LiveSettings, LiveTradingEngine, ReplayFeed
from btq_assets.risk.limits import OrderLimits

WRITES = 0


def main() -> None:
    """Run the loop; die as told."""
    folder, at, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

    class Deadly(Journal):
        def _write(self, line: bytes) -> None:
            global WRITES
            here = at == WRITES
            WRITES += 1
            if here and how == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            super()._write(line[: len(line) // 2] if here and how == "torn" else line)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)

    limits = OrderLimits(max_position=1.0, max_gross=2.0, max_net=2.0, max_orders_per_minute=2)
    bars = cases.market(3, 80)
    LiveTradingEngine(
        cases.live_config(max_position_size=1.0),
        targets=cases.PlainTargets(sorted(bars["symbol"].unique()), gross=1.0),
        feed=ReplayFeed(bars, bars["ts"].unique().sort()[-3]),
        folder=folder,
        settings=LiveSettings(decide="bar", limits=limits if "limits" in sys.argv[4:] else None),
        open_journal=Deadly,
    ).start()
    print(WRITES)


if __name__ == "__main__":
    main()
