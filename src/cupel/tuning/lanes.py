"""Work that goes on side by side: whatever is begun ends in some order, and is taken up in that order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from cupel.tuning.proposal import Proposal, Tried


class Lanes:
    """So many candidates at once. With one lane all is done by the caller's own thread, one after the other.

    What a candidate's work raises is raised where it is taken up. Where something is raised, `call_off` tells the others to end.
    """

    def __init__(self, n_lanes: int, *, call_off: Callable[[], None] = lambda: None) -> None:
        self._n_lanes, self._call_off = n_lanes, call_off
        self._pool = ThreadPoolExecutor(n_lanes, thread_name_prefix="cupel-lane") if n_lanes > 1 else None
        self._begun: dict[Future[Tried], Proposal] = {}

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._call_off()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def are_full(self) -> bool:
        """Whether nothing more can be begun before something has ended."""
        return len(self._begun) >= self._n_lanes

    @property
    def at_work(self) -> list[Proposal]:
        """What was begun and not taken up yet."""
        return list(self._begun.values())

    def begin(self, proposal: Proposal, work: Callable[[], Tried]) -> None:
        """Begin the work on a candidate; there must be a lane for it."""
        assert not self.are_full, "asked only where there is a lane"
        if self._pool is not None:
            self._begun[self._pool.submit(work)] = proposal
            return
        future: Future[Tried] = Future()
        future.set_result(work())
        self._begun[future] = proposal

    def first_ended(self) -> Tried:
        """What came of the first that has ended; waits until one has."""
        done, _ = wait(self._begun, return_when=FIRST_COMPLETED)
        first = next(future for future in self._begun if future in done)
        del self._begun[first]
        return first.result()
