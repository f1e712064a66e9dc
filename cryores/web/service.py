"""What every request works on."""

from __future__ import annotations

from dataclasses import dataclass

from cryores.emdb import ADDRESS
from cryores.web.queue import Queue
from cryores.web.store import Store


@dataclass(frozen=True)
class Service:
    """What the requests work on: the jobs, the queue, the key of the tokens, and where EMDB entries come from."""

    store: Store
    queue: Queue
    secret: bytes
    emdb_address: str = ADDRESS
