"""The limits on requests, which the operator may set."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ApiSettings(BaseSettings):
    """The limits, read from the environment variables `HEDDLE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="HEDDLE_")

    #: The largest body of an upload. It goes through the folder of temporary files (TMPDIR).
    upload_bytes: int = Field(default=512 << 20, ge=1)
    #: The largest size of an upload's decompressed arrays together. They are checked in memory, one
    #: upload at a time. The check takes a few times this size.
    upload_array_bytes: int = Field(default=1 << 30, ge=1)
    #: The largest file of a data set that is uploaded, and so the largest body of such a request.
    dataset_bytes: int = Field(default=16 << 30, ge=1)
    #: The most bytes that an uploaded data set may take once it is stored, unpacked.
    dataset_stored_bytes: int = Field(default=64 << 30, ge=1)
    #: The most event streams and requests with `?wait=` that are held open at once. The limit of
    #: open files (`ulimit -n`) may lower it.
    most_streams: int = Field(default=4000, ge=1)
