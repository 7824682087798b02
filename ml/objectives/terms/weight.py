"""The type of a term's weight."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Weight = Annotated[float, Field(ge=0, le=1e6)]
"""From 0, which leaves the term out, to a million."""
