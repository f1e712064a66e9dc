"""The JSON that a request carries."""

from __future__ import annotations

import json
from typing import Any, Dict

from fastapi import Request

from cryores.errors import UsageError

LARGEST_QUESTION = 64 * 1024
"""Bytes that the page asks in at most."""


async def question_of(request: Request) -> Dict[str, Any]:
    """Return the JSON object that a request carries, empty where it carries nothing.

    Raises
    ------
    UsageError
        ``E_QUESTION`` if it carries anything else, or too much.
    """
    wrong = UsageError("E_QUESTION", "that request cannot be understood", "load the page again")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_QUESTION:
            raise wrong
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(found, dict):
        raise wrong
    return found
