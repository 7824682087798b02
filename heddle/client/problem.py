"""Answers that are not a success, read as errors."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from heddle.errors import HeddleError

LONGEST_PAUSE_SECONDS = 60.0


def checked(response: httpx.Response) -> httpx.Response:
    """Return the response if it is a success. Its body must have been read.

    Raises:
        HeddleError: it is not; the error is made of its problem document, or of any other body.
    """
    if response.is_success:
        return response
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    if not isinstance(problem, dict) or "title" not in problem:
        problem = {"title": response.reason_phrase, "detail": response.text[:500].strip()}
    raise HeddleError.of_problem(response.status_code, problem)


def pause_asked_for(response: httpx.Response) -> float | None:
    """Seconds after which a busy server asks for a new try, or None if it did not ask for one."""
    if response.status_code not in (429, 503) or "Retry-After" not in response.headers:
        return None
    after = response.headers["Retry-After"]
    try:
        seconds = float(after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS)
