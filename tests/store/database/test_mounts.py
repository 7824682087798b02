from __future__ import annotations

from pathlib import Path

import pytest

from store.database.connection import Database, check_local, migrate
from store.database.mounts import Mount, is_network, mount_of, mounts
from store.errors import DatabaseOnNetwork

NETWORK = [
    "nfs",
    "nfs4",
    "cifs",
    "smb2",
    "smb3",
    "smbfs",
    "lustre",
    "beegfs",
    "gpfs",
    "ceph",
    "fuse.ceph",
    "fuse.ceph-fuse",
    "glusterfs",
    "fuse.glusterfs",
    "afs",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.rclone",
]
LOCAL = [
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "tmpfs",
    "overlay",
    "apfs",
    "ntfs",
    "vfat",
    "fuseblk",
    "fuse.ntfs-3g",
    "fuse.lxcfs",
    "f2fs",
    "9p",
]
TABLE = [
    Mount("/", "ext4"),
    Mount("/home", "nfs4"),
    Mount("/home/ada/local", "xfs"),
    Mount("/data", "ext4"),
    Mount("/data", "lustre"),
    Mount("/mnt/with space", "fuse.sshfs"),
]


@pytest.mark.parametrize(
    ("path", "file_system"),
    [
        ("/var/lib/heddle.db", "ext4"),
        ("/home/ada/heddle.db", "nfs4"),
        ("/home/ada/local/heddle.db", "xfs"),
        # Its name only begins like a mount point's.
        ("/home2/heddle.db", "ext4"),
        # Mounted over what was mounted there before.
        ("/data/heddle.db", "lustre"),
        ("/mnt/with space/a/heddle.db", "fuse.sshfs"),
    ],
)
def test_a_path_lies_on_the_last_of_the_nearest_mounts(path: str, file_system: str) -> None:
    mount = mount_of(Path(path), TABLE)
    assert mount is not None and mount.file_system == file_system


@pytest.mark.parametrize("name", NETWORK)
def test_file_systems_that_machines_share_are_known(name: str) -> None:
    assert is_network(name)


@pytest.mark.parametrize("name", LOCAL)
def test_file_systems_of_one_machine_are_not(name: str) -> None:
    assert not is_network(name)


def test_this_machines_table_knows_its_root() -> None:
    assert mount_of(Path("/proc/self"), mounts()) is not None


def test_sqlite_on_a_network_file_system_is_refused_and_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share, elsewhere = tmp_path / "share", tmp_path / "elsewhere"
    share.mkdir()
    elsewhere.symlink_to(share)
    table = [Mount("/", "ext4"), Mount(str(share), "nfs4")]
    monkeypatch.setattr("store.database.connection.mounts", lambda: table)
    for folder in (share, share / "deep", elsewhere):
        path = folder / "heddle.db"
        for refused in (Database, migrate, check_local):
            with pytest.raises(DatabaseOnNetwork) as error:
                refused(f"sqlite:///{path}")
            for told in (str(path), "nfs4", str(share), "HEDDLE_DATABASE_URL", "PostgreSQL"):
                assert told in str(error.value)
        assert not path.exists()
    check_local("postgresql://nowhere/heddle")
    migrate(f"sqlite:///{tmp_path / 'heddle.db'}")
