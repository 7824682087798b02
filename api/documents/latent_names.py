"""The names that people give to a run's latents."""

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
    """The part of a run that a client may change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    latent_names: dict[str, Name] | None
    """Names of latents, by their numbers. Not every latent needs a name. null or {} removes all
    names."""


def asked_names(body: object, latents: int) -> dict[int, str]:
    """The names that a body gives to a model's latents.

    Raises:
        InvalidSpec: the model has no such latent, or a name is not allowed.
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
