"""No body, however odd, makes the service fail, and what it takes it can show."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.service import Service

GOOD: dict[str, Any] = {
    "name": "betas",
    "tags": ["demo"],
    "notes": "",
    "dataset": {"name": "digits", "size": 64},
    "model": {"name": "locatello", "latent_dim": 10},
    "objective": {"name": "beta_vae", "beta": 4.0},
    "training": {
        "steps": 100,
        "optimizer": {"name": "adam", "betas": [0.9, 0.999]},
        "gradient_clip": None,
    },
    "evaluation": {"metrics": ["mig", {"name": "elbo"}], "codes": ["mean"], "rows": 100},
    "traversal": {"span": "quantiles", "frames": 11},
    "seed": 0,
    "sweep": {"objective.beta": [1, 4], "seed": [0]},
}

any_text = st.text(st.characters(), max_size=12)
words = st.sampled_from(
    [
        "name",
        "beta_vae",
        "vae",
        "mig",
        "seed",
        "dsprites",
        "path",
        "objective.beta",
        "sweep",
        "../x",
    ]
)
numbers = st.one_of(
    st.integers(),
    st.sampled_from([-1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 10**400, -(10**400)]),
    st.floats(),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, any_text, words)
any_json = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(any_text | words, inner, max_size=4)
    ),
    max_leaves=12,
)


def places(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where in a document something could stand otherwise."""
    found = [here] if here else []
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return found + [place for key, item in inside for place in places(item, (*here, key))]


@st.composite
def mutations(draw: st.DrawFn) -> Any:
    """A good spec with one or two of its parts replaced, removed, renamed or added."""
    spec = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 2))):
        *parents, last = draw(st.sampled_from(places(spec)))
        holder: Any = spec
        for part in parents:
            holder = holder[part]
        change = draw(st.sampled_from(["replace", "replace", "remove", "add", "rename"]))
        if change == "replace":
            holder[last] = draw(any_json)
        elif change == "remove":
            del holder[last]
        elif isinstance(holder, dict):
            name = draw(any_text | words)
            holder[name] = holder.pop(last) if change == "rename" else draw(any_json)
        if not places(spec):
            break
    return spec


def check(service: Service, body: Any) -> None:
    answer = service.send(json.dumps(body).encode())
    assert answer.status_code in (202, 400, 422), answer.text
    if answer.status_code == 202:
        assert service.json(answer.headers["location"]) == answer.json()
    else:
        assert answer.headers["content-type"] == "application/problem+json"
        answer.json()


def test_no_document_makes_the_service_fail(service_on_each: Service) -> None:
    @settings(max_examples=80, deadline=None, database=None, derandomize=True)
    @given(any_json | st.dictionaries(words, any_json, max_size=4))
    def examine(body: Any) -> None:
        check(service_on_each, body)

    examine()


def test_no_change_to_a_good_spec_makes_the_service_fail(service_on_each: Service) -> None:
    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(mutations())
    def examine(body: Any) -> None:
        check(service_on_each, body)

    examine()


def test_no_bytes_make_the_service_fail(service: Service) -> None:
    @settings(max_examples=100, deadline=None, database=None, derandomize=True)
    @given(st.binary(max_size=40) | st.text('{}[]:,"\\u0019eE-. ', max_size=20).map(str.encode))
    def examine(body: bytes) -> None:
        assert service.send(body).status_code in (400, 422)

    examine()
