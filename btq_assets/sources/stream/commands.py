"""The two commands of the stream: ``record`` and ``replay``.

Belongs here: from settings and arguments to a running recorder or replay server. Does not belong
here: parsing of arguments, and the generator of markets, which comes in as events.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btq_assets.config.sources.stream import StreamSourceSection
    from btq_assets.sources.stream.replay import MarketEvent


def record(settings: StreamSourceSection, folder: Path, seconds: float | None = None) -> int:
    """Record until SIGTERM or SIGINT, or for so many seconds; returns the exit status."""
    from btq_assets.sources.stream.keeper import RecorderError
    from btq_assets.sources.stream.recorder import Recorder

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        if seconds is not None:
            loop.call_later(seconds, stop.set)
        await Recorder(settings, folder).run(stop)

    try:
        asyncio.run(main())
    except RecorderError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def replay(events: Sequence[MarketEvent], speed: float, port: int) -> int:
    """Play events to whoever connects, until all are played or a signal says stop."""
    from btq_assets.sources.stream.replay import ReplayServer

    async def main() -> None:
        async with ReplayServer(list(events), speed=speed, port=port) as server:
            symbols = ",".join(sorted({event.symbol for event in events}))
            print(f"{len(events):,} events of {symbols}, played from the first connection on.")  # noqa: T201
            print(  # noqa: T201
                f"BTQ_SOURCES__STREAM__WEBSOCKET_URL={server.websocket_url} "
                f"BTQ_SOURCES__STREAM__REST_URL={server.rest_url}",
                flush=True,
            )
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop.set)
            played = asyncio.create_task(server.finished.wait())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({played, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if played.done():
                # Listeners may still be reading what lies in the sockets.
                await asyncio.sleep(1.0)
            for task in (played, stopped):
                task.cancel()

    asyncio.run(main())
    return 0
