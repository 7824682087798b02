"""A client of a server that is not there."""

from __future__ import annotations

import httpx
import pytest

from heddle.client import connection
from heddle.client.client import Client
from tests.heddle.fake_server import FakeServer, connect_to


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def connected(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is connected is connected to the server that is not there."""
    # Looked up at each request: a test may replace it.
    connect_to(lambda request: server.answer(request), monkeypatch)


@pytest.fixture
def client(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(connection, "POLL_SECONDS", 0.01)
    return Client("http://heddle.test", transport=httpx.MockTransport(server.answer))
