"""The connection to a server: its verbs, tried again where that is safe, and its streams."""

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
#: How long a wait or a submission bears a server that is not there, as while it is restarted.
PATIENCE_SECONDS = 60.0

#: A server was there: a request may have come through, or its answer may be lost.
BROKEN = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout)

#: The server says every 15 seconds that it is there.
EVENTS_TIMEOUT = httpx.Timeout(60.0, connect=5.0)


class Connection:
    """HTTP to one server: errors are raised, and what may be sent again is. Safe among threads."""

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
        """Every item of a list, over all its pages."""
        while True:
            page = self.get(path, **params).json()
            yield from page["items"]
            if not page.get("next_cursor"):
                return
            params["cursor"] = page["next_cursor"]

    def get(self, path: str, *, accept: str = "*/*", **params: Any) -> httpx.Response:
        """A GET, tried again over broken connections and while the server says to come back.

        `accept` names the media type that is wanted, where there are several.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._http.get(path, params=params, headers={"Accept": accept})
            except httpx.TransportError as error:
                # The transport has tried a few times already to connect.
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
        """A POST, sent once: only a connection that was never made is tried again.

        It sends the document, or in its place `files`: parts of a form, (part, (file name or
        None, content)). `accept` names the media type that is wanted, where there are several.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        content = {"files": list(files)} if files else {"json": document}
        return self._send("POST", path, params=params, headers={"Accept": accept}, **content)

    def ask(
        self, path: str, document: Any, *, key: str | None = None, priority: int = 0
    ) -> httpx.Response:
        """A POST that makes an experiment: sent until there is an answer, and makes one only.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no server, or no answer for a minute.
        """
        name = str(uuid4()) if key is None else key
        return self._repeat(
            path,
            params={"priority": priority} if priority else {},
            json=document,
            headers={"Idempotency-Key": name.encode()},
        )

    def dry_run_of(self, path: str, document: Any, *, priority: int = 0) -> httpx.Response:
        """What `ask` would do, without doing it; it raises what that would."""
        params = {"dry_run": "true"} | ({"priority": str(priority)} if priority else {})
        return self._repeat(path, params=params, json=document)

    plan_of = dry_run_of  #: The former name of `dry_run_of`.

    def patch(self, path: str, document: Any) -> httpx.Response:
        """A PATCH, sent once.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        return self._send("PATCH", path, json=document)

    def delete(self, path: str) -> None:
        """A DELETE, sent once.

        Raises:
            HeddleError: what the server answered, when it is not a success.
            ServerUnreachable: when there is no answer.
        """
        self._send("DELETE", path)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        try:
            return checked(self._http.request(method, path, **content))
        except httpx.TransportError as error:
            raise ServerUnreachable(self.url, cause_of(error)) from error

    def _repeat(self, path: str, **content: Any) -> httpx.Response:
        """A POST that is safe to send again: sent until there is an answer, but not for ever."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        was_there = False
        while True:
            try:
                response = self._http.post(path, **content)
            except httpx.TransportError as error:
                was_there = was_there or isinstance(error, BROKEN)
                # That nobody was ever there is better said at once.
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
        """What happens, as it happens, each event once and in order; the caller stops it.

        Over broken connections and restarts of the server it goes on by itself, and comes back a
        few times to one that is busy. Without `after` (a `position`) an experiment's events come
        from its first on, and all from now on.

        Raises:
            HeddleError: what the server answered, when it is not a success.
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
                # The server has ended the stream: it ends itself, or the experiment is gone.
                if experiment_id is not None:
                    self.get(address("experiments", experiment_id))
            time.sleep(POLL_SECONDS)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """A GET whose body the caller reads piece by piece; httpx's own errors come through."""
        with self._http.stream("GET", path, headers=dict(headers)) as response:
            yield response


def address(*parts: str) -> str:
    """`/v1/…` of these parts; in an id, `?`, `#`, `/` and `%` are letters like others."""
    return "/".join(["/v1", *(quote(part, safe="") for part in parts)])


def cause_of(error: httpx.TransportError) -> str:
    """What went wrong with a connection, in a few words."""
    return str(error) or type(error).__name__
