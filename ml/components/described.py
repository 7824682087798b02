"""Models whose fields are described by the docstrings below them.

Pydantic reads these docstrings while it makes each class (`use_attribute_docstrings`), and for that
looks through all loaded modules: on Python 3.12 and older, a second for our 200 classes. Nobody
needs them before a schema is asked for, so they are read then, and each module's source once.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A model whose JSON schema has the docstrings of its fields as their descriptions.

    Fields go by their own names: an alias would not be found.
    """

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        found = handler(schema)
        properties = handler.resolve_ref_schema(found).get("properties", {})
        for name, text in descriptions(cls).items():
            if name in properties:
                properties[name]["description"] = text
        return found


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The description of each field that has one: its own, or else the docstring below it."""
    found = {}
    for name, field in model.model_fields.items():
        text = field.description
        if text is None:
            # A class that annotates a field anew describes it anew.
            owner = next((one for one in model.__mro__ if name in _annotated(one)), model)
            text = _docstrings(owner.__module__).get(owner.__qualname__, {}).get(name)
        if text is not None:
            found[name] = text
    return found


def _annotated(one: type) -> dict[str, Any]:
    found: dict[str, Any] = vars(one).get("__annotations__", {})
    return found


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """The docstrings below fields of every class of a module, by the class's qualified name."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        # As of classes that are typed into an interpreter.
        return {}
    return dict(_of_classes(ast.parse(source), ""))


def _of_classes(node: ast.AST, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield prefix + child.name, dict(_of_fields(child))
            yield from _of_classes(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _of_classes(child, f"{prefix}{child.name}.<locals>.")
        else:
            yield from _of_classes(child, prefix)


def _of_fields(body: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield field.target.id, inspect.cleandoc(below.value.value)
