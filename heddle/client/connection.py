"""The connection to a server: requests, which are repeated where that is safe, and streams."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx

from heddle.client.problem import checked, pause_asked_for
from heddle.errors import ServerUnreachable

ATTEMPTS = 5

POLL_SECONDS = 0.5
#: How long a wait or a submission goes on without a server, as while it is restarted.
PATIENCE_SECONDS = 60.0

#: Errors after a connection was made: the request may have arrived, and its answer been lost.
BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout)

#: The server sends a sign of life every 15 seconds.
EVENTS_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class Connection:
    """HTTP to one server, safe for threads. Requests are repeated where that does no harm."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        user: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={
                **({"Authorization": f"Bearer {key}"} if key else {}),
                **({"Heddle-User": user} if user else {}),
            },
            timeout=httpx.Timeout(60.0, connect=5.0),
            transport=transport or httpx.HTTPTransport(retries=2),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def iterate(self, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Give every item of a list, over all its pages."""
        while True:
            page = self.get(path, **params).json()
            yield from page["items"]
            if not page.get("next_cursor"):
                return
            params["cursor"] = page["next_cursor"]

    def get(self, path: str, *, accept: str = "*/*", **params: Any) -> httpx.Response:
        """Send a GET; repeat it after a broken connection, and when the server asks for that.

        `accept` is the media type that is wanted, where there are several.

        Raises:
            HeddleError: the server's answer is not a success.
            ServerUnreachable: there is no answer.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._http.get(path, params=params, headers={"Accept": accept})
            except httpx.TransportError as error:
                # The transport has tried to connect a few times already.
                hopeless = isinstance(error, (httpx.ConnectError, httpx.TimeoutException))
                if hopeless or attempt == ATTEMPTS:
                    raise ServerUnreachable(self.url, cause_of(error)) from error
                time.sleep(0.1 * 2**attempt)
                continue
            pause = pause_asked_for(response)
            if pause is None or attempt == ATTEMPTS:
                return checked(response)
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def post(
        self,
        path: str,
        document: Any = None,
        *,
        files: Sequence[tuple[str, tuple[str | None, bytes]]] = (),
        accept: str = "*/*",
        **params: Any,
    ) -> httpx.Response:
        """Send a POST once. Only a connection that could not be made is tried again.

        Its body is the document or, in its place, `files`: the parts of a form, each (part, (file
        name or None, content)). `accept` is the media type that is wanted, where there are several.

        Raises:
            HeddleError: the server's answer is not a success.
            ServerUnreachable: there is no answer.
        """
        content = {"files": list(files)} if files else {"json": document}
        return self._send("POST", path, params=params, headers={"Accept": accept}, **content)

    def ask(
        self, path: str, document: Any, *, key: str | None = None, priority: int = 0
    ) -> httpx.Response:
        """Send a POST until it is answered; by its key the server makes one experiment of it.

        Raises:
            HeddleError: the server's answer is not a success.
            ServerUnreachable: there is no server, or no answer for a minute.
        """
        name = str(uuid4()) if key is None else key
        return self._repeat(
            path,
            params={"priority": priority} if priority else {},
            json=document,
            headers={"Idempotency-Key": name.encode()},
        )

    def dry_run_of(self, path: str, document: Any, *, priority: int = 0) -> httpx.Response:
        """Report what `ask` would do, and do nothing. It raises the same errors."""
        params = {"dry_run": "true"} | ({"priority": str(priority)} if priority else {})
        return self._repeat(path, params=params, json=document)

    plan_of = dry_run_of  #: The former name of `dry_run_of`.

    def patch(self, path: str, document: Any) -> httpx.Response:
        """Send a PATCH once.

        Raises:
            HeddleError: the server's answer is not a success.
            ServerUnreachable: there is no answer.
        """
        return self._send("PATCH", path, json=document)

    def delete(self, path: str) -> None:
        """Send a DELETE once.

        Raises:
            HeddleError: the server's answer is not a success.
            ServerUnreachable: there is no answer.
        """
        self._send("DELETE", path)

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send a request once, and return its answer whatever its status is.

        Raises:
            httpx.TransportError: there is no answer.
        """
        return self._http.request(method, path, **content)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return checked(self._http.request(method, path, **content))
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, cause_of(error)) from error

    def _repeat(self, path: str, **content: Any) -> httpx.Response:
        """Send a POST that is safe to repeat until it is answered, for at most a minute."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        was_there = False
        while True:
            try:
                response = self._http.post(path, **content)
            except httpx.TransportError as error:
                was_there = was_there or isinstance(error, BROKEN)
                # Where no server was ever found, the user should know at once.
                if not was_there or time.monotonic() > give_up:
                    raise ServerUnreachable(self.url, cause_of(error)) from error
                time.sleep(POLL_SECONDS)
                continue
            if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE or (
                time.monotonic() > give_up
            ):
                return checked(response)
            was_there = True
            time.sleep(pause_asked_for(response) or POLL_SECONDS)

    def events(
        self, experiment_id: str | None = None, *, after: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Give events as they happen, each once and in order, until the caller stops.

        The stream goes on over broken connections and restarts of the server, and returns a few
        times to a server that is busy. It begins after the event whose `position` is `after`.
        Without `after`, the events of an experiment come from its first one on, and those of all
        experiments from now on.

        Raises:
            HeddleError: the server's answer is not a success.
        """
        params = {} if experiment_id is None else {"experiment": experiment_id}
        refused = 0
        while True:
            headers = {} if after is None else {"Last-Event-ID": str(after)}
            try:
                with self._http.stream(
                    "GET", "/v1/events", params=params, headers=headers, timeout=EVENTS_TIMEOUT
                ) as response:
                    if not response.is_success:
                        response.read()
                    pause = pause_asked_for(response)
                    refused = 0 if pause is None else refused + 1
                    if pause is not None and refused < ATTEMPTS:
                        time.sleep(pause)
                        continue
                    checked(response)
                    for line in response.iter_lines():
                        if line.startswith("data: "):
                            event = json.loads(line.removeprefix("data: "))
                            yield event
                            after = event["position"]
            except httpx.TransportError:
                pass
            else:
                # The server has ended the stream: it is shutting down, or the experiment is gone.
                if experiment_id is not None:
                    self.get(address("experiments", experiment_id))
            time.sleep(POLL_SECONDS)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Send a GET whose body the caller reads in pieces; it raises the errors of httpx."""
        with self._http.stream("GET", path, headers=dict(headers)) as response:
            yield response


def address(*parts: str) -> str:
    """The path `/v1/…` of these parts, in which `?`, `#`, `/` and `%` are quoted."""
    return "/".join(["/v1", *(quote(part, safe="") for part in parts)])


def cause_of(error: httpx.TransportError) -> str:
    """What went wrong with a connection, in a few words."""
    return str(error) or type(error).__name__
