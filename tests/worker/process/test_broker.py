from __future__ import annotations

import pytest
from kombu.exceptions import OperationalError

from worker.process.broker import AMQP


def test_an_absent_broker_is_tried_again_every_other_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda _: None)
    waits = []
    with AMQP.Connection("redis://127.0.0.1:1/0") as connection, pytest.raises(OperationalError):
        connection.ensure_connection(lambda _, seconds: waits.append(seconds), max_retries=20)
    assert waits == [2.0] * 20
