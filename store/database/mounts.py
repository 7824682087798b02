"""On which file system a path lies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_NETWORK = (
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "fhgfs",
    "gfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncp",
    "nfs",
    "ocfs2",
    "orangefs",
    "panfs",
    "pvfs2",
    "sshfs",
    "smb",
    "webdav",
    "wekafs",
)
"""Beginnings of the names of file systems that several machines share. Those that a virtual machine
has from its host (9p, virtiofs) are not among them: there they are often all that there is."""

_FUSE_NETWORK = ("gcsfuse", "s3fs", "davfs", "rclone", "juicefs", "mountpoint-s3", "moosefs", "mfs")
"""The same of those that are only ever served by a program."""


class Mount(NamedTuple):
    """A line of the mount table."""

    point: str
    file_system: str


def mounts() -> list[Mount]:
    """The machine's mount table, in the order of mounting."""
    found = psutil.disk_partitions(all=True)
    return [Mount(one.mountpoint, one.fstype) for one in found]


def mount_of(path: Path, table: Sequence[Mount]) -> Mount | None:
    """Where a resolved path lies: the longest mount point above it, of several the last."""
    above = [mount for mount in table if path.is_relative_to(mount.point)]
    return max(reversed(above), key=lambda mount: len(Path(mount.point).parts), default=None)


def is_network(file_system: str) -> bool:
    """Whether a file system is one that several machines share, also behind FUSE."""
    name = file_system.lower().removeprefix("fuse.").removeprefix("fuseblk.")
    return name.startswith(_NETWORK + _FUSE_NETWORK)
