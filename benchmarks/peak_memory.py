"""How much memory a piece of code takes."""

from __future__ import annotations

import threading

import psutil


class PeakMemory:
    """The most memory that this process holds above what it held at the start, sampled every few milliseconds."""

    def __enter__(self) -> PeakMemory:
        self._process = psutil.Process()
        self._start = self._process.memory_info().rss
        self.bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.003):
            self.bytes = max(self.bytes, self._process.memory_info().rss - self._start)

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
