"""Independent runs at once: accounts, strategies or parameter sets that share nothing but prices.

Belongs here: running simulations on threads. Does not belong here: a simulation
(`order_simulation`). One account is one sequence of fills and stays on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from btq_assets.engine.order_simulation import OrderSimulation


def simulate_together(
    runs: Sequence[Callable[[], OrderSimulation]], threads: int = 2
) -> list[OrderSimulation]:
    """Run simulations on threads and prove the books of each; compiled code holds no lock.

    Parameters
    ----------
    runs
        Calls of `order_simulation.simulate_orders`, without arguments left open.
    threads
        How many at once, at least 1.

    Returns
    -------
    list of OrderSimulation
        In the order of `runs`; each is what it would be alone, to the last bit.

    Raises
    ------
    EngineError
        As the runs do, or where the books of one do not balance.
    """
    from btq_assets.engine.books import check_books
    from btq_assets.engine.errors import EngineError

    if threads < 1:
        raise EngineError(f"threads = {threads}: at least one")

    def proved(run: Callable[[], OrderSimulation]) -> OrderSimulation:
        done = run()
        check_books(done)
        return done

    if threads == 1 or len(runs) <= 1:
        return [proved(run) for run in runs]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(proved, runs))
