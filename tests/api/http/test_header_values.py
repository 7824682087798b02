"""Media types are the same in capitals, and with parameters."""

from __future__ import annotations

import pytest

from tests.api.service import Service
from tests.npz import npz


@pytest.mark.parametrize(
    "media_type", ["APPLICATION/JSON", "Application/Json; Charset=UTF-8", "application/VND.x+JSON"]
)
def test_media_types_are_the_same_in_capitals(service: Service, media_type: str) -> None:
    body = b'{"dataset": "digits", "objective": "vae"}'
    assert service.send(body, **{"content-type": media_type}).status_code == 202


def test_a_form_is_one_in_capitals(service: Service) -> None:
    request = service.client.build_request(
        "POST", "/v1/evaluations", files={"file": ("codes.npz", npz())}
    )
    kind = request.headers["content-type"]
    request.headers["content-type"] = kind.replace("multipart/form-data", "Multipart/Form-Data")
    service.accepted(service.client.send(request))
