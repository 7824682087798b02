from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from pydantic import BaseModel
from pydantic._internal import _docs_extraction

import api.main  # noqa: F401  (It imports all models.)
from ml.components.described import Described, descriptions


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _below(one)


@cache
def _read_by_pydantic(owner: type) -> dict[str, str | None]:
    annotated = vars(owner).get("__annotations__", {})
    if not annotated or not issubclass(owner, Described):
        return dict.fromkeys(annotated)
    read = _docs_extraction.extract_docstrings_from_cls(owner, use_inspect=True)
    return dict.fromkeys(annotated) | read


def test_models_are_described_as_pydantic_would_describe_them() -> None:
    found = sorted(set(_below(Described)), key=lambda one: (one.__module__, one.__qualname__))
    ours = [one for one in found if one.__module__.startswith(("api.", "ml."))]
    # Pydantic reads a module anew for each of its classes, so that one of each is compared.
    models = list({one.__module__: one for one in ours}.values())
    assert len(models) > 50
    for model in models:
        expected: dict[str, str | None] = {}
        for owner in reversed(model.__mro__):
            expected |= _read_by_pydantic(owner)
        given = {k: f.description for k, f in model.model_fields.items() if f.description}
        fields = {k: text for k, text in expected.items() if text and k in model.model_fields}
        assert descriptions(model) == fields | given, model
