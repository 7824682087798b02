import subprocess
import sys
from typing import ClassVar, Literal

import pytest

from ml.components import registry
from ml.components.registry import (
    DuplicateComponent,
    UnknownComponent,
    components,
    find,
    kinds,
    nearest,
    register,
)
from ml.schedules.constant import Constant as Ours
from ml.schedules.protocol import Schedule

KINDS = tuple(kinds().values())
ALL = [(kind, name) for kind in KINDS for name in components(kind)]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_component_documents_itself_and_stands_on_its_defaults(kind: str, name: str) -> None:
    component = find(kind, name)
    assert component.summary().endswith((".", ":")) or len(component.summary()) > 15
    assert component.version >= 1
    made = component.model_validate({"name": name})
    assert component.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_parameter_of_every_component_is_described(kind: str, name: str) -> None:
    schema = find(kind, name).model_json_schema()
    described = {field for field, about in schema["properties"].items() if "description" in about}
    assert described | {"name"} == set(schema["properties"])


def test_a_name_that_is_nearly_right_brings_the_nearest() -> None:
    with pytest.raises(UnknownComponent) as raised:
        find("objective", "beta_vea")
    assert raised.value.nearest == "beta_vae"
    assert "beta_vae" in str(raised.value) and "vae" in raised.value.known


def test_no_name_is_near_to_a_very_long_one() -> None:
    long = "name" * 50
    assert nearest(long, [long[:-1]]) == long[:-1]
    assert nearest(long + "s", [long]) is None


def test_a_second_claim_to_a_name_is_refused() -> None:
    class Constant(Schedule):  # Of the same name as ours, in another module.
        name: Literal["constant"] = "constant"
        version: ClassVar[int] = 7

        def factor(self, step: int, steps: int) -> float:
            return 2.0

    with pytest.raises(DuplicateComponent, match="constant"):
        register(Constant)
    assert find("schedule", "constant").version == 1


def test_the_blame_is_on_the_other_package_even_if_it_is_imported_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Constant(Schedule):
        name: Literal["constant"] = "constant"

        def factor(self, step: int, steps: int) -> float:
            return 2.0

    monkeypatch.setitem(registry._components, "schedule", {"constant": Constant})
    with pytest.raises(DuplicateComponent) as raised:
        register(Ours)
    assert str(raised.value).endswith(f"by {Ours.__module__} and again by {__name__}")


def test_to_know_the_metrics_compiles_nothing() -> None:
    # numba refuses to define a kernel where it can write no cache, and the API must start there.
    program = "import sys, api.main, ml.components.registry as known; known.components('metric')"
    program += "; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
