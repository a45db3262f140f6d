"""The cores of the processor, side by side: each takes its share of a step.

PyTorch's own way is to cut every single product in pieces and to wait for the slowest core after each. Here a core gets
whole batches, and all wait once: faster, the more so beside other programs. Large models are trained like this on
thousands of devices ("data parallel").
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

Item = TypeVar("Item")
Found = TypeVar("Found")


class Workers:
    """So many threads, which share the processor's cores evenly while the `with` block lasts. One is nobody but the caller.

    Sums may come out in another order with another number of workers, so the same figures to the last bit need the same
    number.
    """

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise ValueError(f"{count} workers; there must be at least 1")
        self.count = count
        self._threads = torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        if self.count > 1:
            each = max(1, self._threads // self.count)
            torch.set_num_threads(each)  # the caller works too, between the shares
            self._pool = ThreadPoolExecutor(self.count, initializer=torch.set_num_threads, initargs=(each,))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            torch.set_num_threads(self._threads)
            self._pool = None

    def share(self, work: Callable[[Sequence[Item]], Found], items: Sequence[Item]) -> list[Found]:
        """Deals the items out, and returns what `work` makes of each worker's share, always in the same order."""
        shares = [items[worker :: self.count] for worker in range(min(self.count, len(items)))]
        return [work(share) for share in shares] if self._pool is None else list(self._pool.map(work, shares))


ALONE = Workers()


def workers_for(device: torch.device, batches: int) -> Workers:
    """One for each core that PyTorch may use, at most one a batch; a GPU has its own."""
    return Workers(min(torch.get_num_threads(), batches) if device.type == "cpu" else 1)
