"""The file system that a path lies on."""

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
"""How the names of file systems begin that several machines share. The file systems that a virtual
machine gets from its host (9p, virtiofs) are left out: such a machine often has no others."""

_FUSE_NETWORK = ("gcsfuse", "s3fs", "davfs", "rclone", "juicefs", "mountpoint-s3", "moosefs", "mfs")
"""How the names of shared file systems begin that only a program serves (FUSE)."""


class Mount(NamedTuple):
    """A line of the mount table."""

    point: str
    file_system: str


def mounts() -> list[Mount]:
    """The machine's mount table, in the order of mounting."""
    found = psutil.disk_partitions(all=True)
    return [Mount(one.mountpoint, one.fstype) for one in found]


def mount_of(path: Path, table: Sequence[Mount]) -> Mount | None:
    """The mount that a resolved path lies on: its longest mount point, and the last of several."""
    above = [mount for mount in table if path.is_relative_to(mount.point)]
    return max(reversed(above), key=lambda mount: len(Path(mount.point).parts), default=None)


def is_network(file_system: str) -> bool:
    """Whether several machines share a file system, directly or through FUSE."""
    name = file_system.lower().removeprefix("fuse.").removeprefix("fuseblk.")
    return name.startswith(_NETWORK + _FUSE_NETWORK)
