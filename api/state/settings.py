"""What one request may ask of the service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """Read from the environment variables `HEDDLE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="HEDDLE_")

    #: Largest body of an upload; it goes through the folder of temporary files (TMPDIR).
    upload_bytes: int = Field(default=512 << 20, ge=1)
    #: Largest sum of an upload's arrays, inflated. They are checked in memory, one upload at a
    #: time, at a cost of a few times as much.
    upload_array_bytes: int = Field(default=1 << 30, ge=1)
    #: Most event streams and `?wait=` that are held open at once. The files that the process may
    #: open (`ulimit -n`) may set less.
    most_streams: int = Field(default=4000, ge=1)
