"""Several threads that change places as often as Python lets them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable


def at_once(work: Callable[[int], None], seeds: Iterable[int]) -> None:
    """Run ``work(seed)`` in a thread for each seed; the first error of one is raised here."""
    wrong: list[BaseException] = []

    def guarded(seed: int) -> None:
        try:
            work(seed)
        except BaseException as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=guarded, args=(seed,)) for seed in seeds]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    if wrong:
        raise wrong[0]
