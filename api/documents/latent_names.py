"""What people call a run's latents."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, parsed, shown

MOST_LETTERS = 40


def _for_pictures(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("a name has printable letters, and no spaces around it")
    return name


Name = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS), AfterValidator(_for_pictures)]


class RunChange(BaseModel):
    """What may be changed of a run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent_names: dict[str, Name] | None
    """A name for each latent that has one, by its number; null or {} for none at all."""


def asked_names(body: object, latents: int) -> dict[int, str]:
    """The names that a body gives to a model's latents.

    Raises:
        InvalidSpec: there is no such latent, or a name is none.
    """
    names = parsed(RunChange, body).latent_names or {}
    known = {str(latent): latent for latent in range(latents)}
    expected = f"a latent, 0 to {latents - 1}"
    faults = [
        Fault(f"latent_names.{shown(key)}", shown(key), expected)
        for key in names
        if key not in known
    ]
    if faults:
        raise InvalidSpec(faults[:MOST_FAULTS])
    return {known[key]: name for key, name in names.items()}
