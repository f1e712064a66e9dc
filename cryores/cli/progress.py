"""What a run prints while it works: a bar a stage on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import sys
import time

from cryores.cli.stopping import stop_if_asked
from cryores.cli.streams import tell
from cryores.execution import Stage


class Silent(Stage):
    """Says nothing, and like the others asks at every step whether the run is to stop."""

    def advance(self, steps: int = 1) -> None:
        """Stop if a signal has come."""
        stop_if_asked()


class Bar(Stage):
    """A tqdm bar with the time that is left."""

    def __init__(self, title: str, steps: int) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=steps or None, desc=title, file=sys.stderr, leave=True, dynamic_ncols=True)

    def advance(self, steps: int = 1) -> None:
        """Move the bar."""
        stop_if_asked()
        self._bar.update(steps)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class Lines(Stage):
    """A line when the stage begins, every tenth of it, and when it ends: what fits a log file."""

    def __init__(self, title: str, steps: int) -> None:
        self._title, self._steps, self._done = title, steps, 0
        self._start = time.perf_counter()
        self._tenths = 0
        say(f"{title} ...")

    def advance(self, steps: int = 1) -> None:
        """Print a line at each tenth that is reached, once the stage has lasted five seconds."""
        stop_if_asked()
        self._done += steps
        spent = time.perf_counter() - self._start
        tenths = 10 * self._done // self._steps if self._steps else 0
        if self._tenths < tenths < 10 and spent > 5:
            self._tenths = tenths
            left = spent * (self._steps - self._done) / self._done
            say(f"{self._title}: {10 * tenths} %, about {left:.0f} s left")

    def close(self) -> None:
        """Print how long the stage took, when it took long enough to matter."""
        spent = time.perf_counter() - self._start
        if spent > 1:
            say(f"{self._title}: {spent:.1f} s")


def say(line: str) -> None:
    """Print a line for the user on stderr."""
    tell(line)


def open_stage(title: str, steps: int) -> Stage:
    """Open a bar on a terminal, lines elsewhere."""
    return Bar(title, steps) if steps and sys.stderr.isatty() else Lines(title, steps)
