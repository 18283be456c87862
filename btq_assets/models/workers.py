"""Independent pieces of work beside one another: in this process, in others, or on Ray.

Belongs here: the same call on many items, results in the order of the items. Does not belong here:
what the work is (`walk_forward`, `search`). Ray is in the extra ``ray`` and imported inside functions.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from btq_assets.models.forecaster import ModelError

if TYPE_CHECKING:
    from btq_assets.config import TrainingSection

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Told of each result as it comes: the place of its item, and the result.
Came = Callable[[int, Any], None]


class Workers(Protocol):
    """Whoever does the work."""

    def map(
        self,
        call: Callable[[Any, _Item], _Result],
        shared: Any,
        items: Sequence[_Item],
        came: Came | None = None,
    ) -> list[_Result]:
        """``[call(shared, item) for item in items]``, wherever it is computed.

        Parameters
        ----------
        call
            A function of a module, so that other processes can find it.
        shared
            What every call reads; sent once to each worker.
        items
            What the calls differ by.
        came
            Told of each result when it is there, in any order.

        Raises
        ------
        ModelError
            A worker ended without an answer. What a call raises is raised here.
        """
        ...


@dataclass(frozen=True)
class Alone:
    """One item after the other, in this process."""

    def map(
        self,
        call: Callable[[Any, _Item], _Result],
        shared: Any,
        items: Sequence[_Item],
        came: Came | None = None,
    ) -> list[_Result]:
        """See `Workers`."""
        found = []
        for place, item in enumerate(items):
            found.append(call(shared, item))
            if came is not None:
                came(place, found[-1])
        return found


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, each with memory of its own; they end with this one.

    Parameters
    ----------
    n
        How many.
    """

    n: int

    def map(
        self,
        call: Callable[[Any, _Item], _Result],
        shared: Any,
        items: Sequence[_Item],
        came: Came | None = None,
    ) -> list[_Result]:
        """See `Workers`."""
        found: dict[int, _Result] = {}
        # Not forked: torch and polars have threads, whose locks a fork would keep for ever.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(
            min(self.n, max(len(items), 1)), context, initializer=_begin, initargs=(shared,)
        )
        try:
            waiting = {pool.submit(_called, call, item): n for n, item in enumerate(items)}
            for future in as_completed(waiting):
                place = waiting[future]
                found[place] = future.result()
                if came is not None:
                    came(place, found[place])
        except BrokenProcessPool as error:
            raise ModelError(
                f"a worker ended without an answer after {len(found)} of {len(items)}: it was killed, "
                "or memory did not suffice for so many; lower models.training.workers and start again"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return [found[place] for place in range(len(items))]


@dataclass(frozen=True)
class RayWorkers:
    """Tasks of Ray: on this machine, or on every machine of a cluster.

    Parameters
    ----------
    n
        Tasks at once.
    address
        Cluster; ``None`` joins the one that this process is in, else starts one on this machine,
        which ends with the process.
    gpus
        Share of a GPU that each task asks for.
    """

    n: int
    address: str | None = None
    gpus: float = 0.0

    def map(
        self,
        call: Callable[[Any, _Item], _Result],
        shared: Any,
        items: Sequence[_Item],
        came: Came | None = None,
    ) -> list[_Result]:
        """See `Workers`."""
        ray = require_ray()
        if not ray.is_initialized():
            # Left running for the next call, which would wait for it again: it ends with the process.
            here = {} if self.address else {"num_cpus": self.n, "include_dashboard": False}
            ray.init(address=self.address, log_to_driver=False, configure_logging=False, **here)
        try:
            task = ray.remote(num_cpus=1, num_gpus=self.gpus)(call)
            stored = ray.put(shared)
            return self._gathered(ray, lambda item: task.remote(stored, item), items, came)
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
            raise ModelError(
                f"a worker of Ray ended without an answer: {error}; lower models.training.workers "
                "and start again"
            ) from error

    def _gathered(
        self, ray: Any, start: Callable[[Any], Any], items: Sequence[Any], came: Came | None
    ) -> list[Any]:
        found: dict[int, Any] = {}
        running: dict[Any, int] = {}
        left = list(enumerate(items))[::-1]
        while left or running:
            while left and len(running) < self.n:
                place, item = left.pop()
                running[start(item)] = place
            (done, *_), _ = ray.wait(list(running))
            place = running.pop(done)
            try:
                found[place] = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise (cause if isinstance(cause, ModelError) else error) from None
            if came is not None:
                came(place, found[place])
        return [found[place] for place in range(len(items))]


def workers_of(settings: TrainingSection, *, device: str = "cpu") -> Workers:
    """Whoever `models.training` names; this process where it names one worker of this machine."""
    if settings.engine == "ray":
        # A card is shared by the workers of a machine.
        gpus = 1 / settings.workers if device.startswith("cuda") else 0.0
        return RayWorkers(settings.workers, settings.ray_address, gpus)
    return Processes(settings.workers) if settings.workers > 1 else Alone()


def require_ray() -> Any:
    """The package; raises `ModelError` saying what to install."""
    try:
        import ray
    except ImportError as error:
        raise ModelError(
            "work on Ray needs the package ray: pip install 'btquant[ray]', or set "
            "models.training.engine to processes"
        ) from error
    return ray


def end_with_parent() -> None:
    """Wait for the end of the process that started this one, and end too, whatever is running."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


_SHARED: list[Any] = []


def _begin(shared: Any) -> None:
    _SHARED[:] = [shared]
    threading.Thread(target=end_with_parent, daemon=True).start()


def _called(call: Callable[[Any, Any], Any], item: Any) -> Any:
    return call(_SHARED[0], item)
