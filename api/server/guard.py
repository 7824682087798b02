"""The guard of a service on loopback: programs of this machine may use it, other sites may not.

A browser allows any page to send requests to 127.0.0.1. A page whose host name is rebound to that
address even counts as being of the same origin. So on loopback the Host must be a loopback name. So
must the Origin, where there is one (compare CVE-2025-62593).
"""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.problems import problem


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address is this machine's own."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LoopbackOnly:
    """Middleware that refuses other Hosts (421) and other Origins (403)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not is_loopback(_host(f"//{host}")):
            answer = problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This service answers on loopback only, but the Host is {host!r}."
                " Use http://127.0.0.1 or http://localhost.",
            )
            await answer(scope, receive, send)
        elif origin is not None and not is_loopback(_host(origin)):
            answer = problem(
                HTTPStatus.FORBIDDEN,
                f"Pages of {origin!r} may not use this service, which serves its machine alone.",
            )
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
