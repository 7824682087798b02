"""The errors that the store raises."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path


class StoreError(Exception):
    """A fact about the store that the caller can act on."""


class NotFound(StoreError):
    """Nothing of this kind has this id."""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"There is no {kind} {id!r}.")
        self.kind = kind
        self.id = id


class NameTaken(StoreError):
    """A data set has this name, or had it before it was renamed."""

    def __init__(self, name: str, holder: str) -> None:
        now = "" if name == holder else f": it is a former name of {holder!r}, which specs may use"
        super().__init__(f"The name {name!r} is taken by another data set{now}. Give another one.")
        self.name = name
        self.holder = holder


class DatasetInUse(StoreError):
    """A data set is named by runs, so it cannot be deleted."""

    def __init__(self, name: str, runs: Sequence[str], experiments: Sequence[str]) -> None:
        of = f" of the experiments {_some(experiments)}" if experiments else ""
        super().__init__(
            f"The data set {name!r} is used by the runs {_some(runs)}{of}. Delete those first."
        )
        self.name = name
        self.runs = list(runs)
        self.experiments = list(experiments)


class DatasetChanged(StoreError):
    """A data set was renamed or deleted while a request that uses it was worked on."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The data set {name!r} was renamed or deleted at this moment. Nothing was written;"
            " look for it, and post this again."
        )
        self.name = name


class WrongOffset(StoreError):
    """An upload has another number of bytes than a request expects."""

    def __init__(self, id: str, expected: int, found: int, *, most: bool = False) -> None:
        what = "was announced with" if most else "has"
        super().__init__(
            f"The upload {id} {what} {found:,} bytes, and this request needs {expected:,}. Ask for"
            " its offset and go on from there."
        )
        self.offset = found


class UploadBusy(StoreError):
    """Another request adds to an upload, or uses it."""

    def __init__(self, id: str) -> None:
        super().__init__(f"Another request uses the upload {id} at the moment.")


class UploadDamaged(StoreError):
    """An upload does not have the SHA-256 that was announced."""

    def __init__(self, id: str, came: str, expected: str) -> None:
        super().__init__(
            f"The upload {id} has the SHA-256 {came}, and {expected} was announced. Begin another."
        )


class TooManyUploads(StoreError):
    """So many uploads have begun that no more may."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} uploads have begun and not ended, which is the most. Try again later."
        )


_MOST_NAMED = 5


def _some(ids: Sequence[str]) -> str:
    more = len(ids) - _MOST_NAMED
    return ", ".join(ids[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")


class Contended(StoreError):
    """Other transactions were faster to write the same thing at every try."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"Too many ask for {what} at the same moment, and others were faster each time."
            " Nothing was changed: try again."
        )


_RESTORE = (
    "restore the file from a backup, then resume; codes that were uploaded can be sent again, and a"
    " run can be trained anew by posting it with force"
)


class ObjectGone(StoreError):
    """A file of the object folder is missing, though the folder is there."""

    advice = _RESTORE

    def __init__(self, path: Path) -> None:
        super().__init__(f"The file {path} is gone from the object folder.")


class DamagedObject(StoreError):
    """A file of the object folder no longer has the content that was put there."""

    advice = _RESTORE

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"The file {path} is damaged: it {what}.")


class DatabaseOnNetwork(StoreError):
    """A SQLite file lies on a network file system. SQLite's locks and its shared memory do not work
    there, so the file would be damaged sooner or later."""

    def __init__(self, path: Path, point: str, file_system: str) -> None:
        super().__init__(
            f"The SQLite database {path} lies on a network file system ({file_system}, mounted at"
            f" {point}), where its locks do not hold and it would be damaged. Put it on a local"
            " disk, for instance HEDDLE_DATABASE_URL=sqlite:////var/lib/heddle/heddle.db, or use"
            " PostgreSQL (HEDDLE_DATABASE_URL=postgresql://...). Artifacts and checkpoints may"
            " stay where they are (HEDDLE_OBJECTS, HEDDLE_CHECKPOINTS)."
        )
        self.path = path


class BadDatabaseUrl(StoreError):
    """The URL of a database is not one of SQLite or PostgreSQL."""

    def __init__(self, came: str) -> None:
        super().__init__(
            f"HEDDLE_DATABASE_URL is {came}. Expected sqlite:////path/to/heddle.db or"
            " postgresql://user:password@host:5432/name; without it, the database is a file in"
            " HEDDLE_HOME."
        )


class DatabaseNewer(StoreError):
    """A database has a schema that this version of Heddle does not know."""

    def __init__(self, url: str, found: str, newest: str) -> None:
        super().__init__(
            f"The database {url} has the schema {found}, and this version of Heddle knows none"
            f" after {newest}: a newer version has worked with it. Install that version or a later"
            " one; to go back, restore a copy of the database from before. Nothing was changed."
        )
        self.found = found


class DatabaseUnusable(StoreError):
    """A database cannot be opened or written, and it is not known to be away for a while."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            f"The database {url} cannot be used: {why}. Check that it exists and that this user may"
            " write to it, or name another one by HEDDLE_DATABASE_URL."
        )


class WrongState(StoreError):
    """The thing exists, but is not in a state that allows what was asked."""

    def __init__(self, kind: str, id: str, state: str, allowed: Iterable[str]) -> None:
        self.kind = kind
        self.id = id
        self.state = str(state)
        self.allowed = tuple(str(name) for name in allowed)
        super().__init__(
            f"The {kind} {id} is {self.state}; this needs one that is {' or '.join(self.allowed)}."
        )


class Pinned(StoreError):
    """Somebody has pinned the thing, so that nobody deletes it."""

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"The {kind} {id} is pinned; unpin it to delete it.")
        self.kind = kind
        self.id = id


class NotTrained(StoreError):
    """A run has no trained model yet, and what was asked for needs one."""

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(
            f"The run {run_id} is {state} and not trained; an evaluation by itself, a picture and"
            " whatever else is made of a model need a trained one. Wait for the training, or cancel"
            " or resume the run as a whole."
        )
        self.run_id = run_id
        self.state = str(state)


class StateNotKept(StoreError):
    """A run has not kept the state of its end, so no other run can go on from there."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"The run {run_id} has not kept the state that its training ended with (only its"
            " weights), so no run can go on from there: it was trained before states were kept,"
            " while HEDDLE_KEEP_STATES was off, or when the disk was full. Post it with force to"
            " train it once more."
        )
        self.run_id = run_id


class OriginNotKept(StoreError):
    """A run is to go on from the end of another that does not exist or has not kept its state."""

    def __init__(self, train_ids: Iterable[str]) -> None:
        missing = sorted(set(train_ids))
        super().__init__(
            f"{len(missing)} of the runs go on from the end of another (origin), and no trained run"
            f" of that kind has kept its state; the first has the train_id {missing[0]}. Train it,"
            " then post this again."
        )
        self.train_ids = missing


class KeyOfAnother(StoreError):
    """An idempotency key came with another request than before. A new request needs a new key."""

    def __init__(self, key: str, experiment_id: str) -> None:
        super().__init__(
            f"The key {key!r} belongs to another request, which made the experiment "
            f"{experiment_id}. Send this one under a new key."
        )
        self.key = key
        self.experiment_id = experiment_id


class TooManyQueued(StoreError):
    """An owner would have more waiting runs than the operator allows."""

    def __init__(self, owner: str, wanted: int, most: int) -> None:
        super().__init__(
            f"With this {wanted:,} runs of {owner} would wait for training, and {most:,} may"
            " (HEDDLE_MOST_QUEUED). Nothing was written; post less, or later."
        )
        self.owner = owner
        self.most = most


class LeaseLost(StoreError):
    """Another worker holds the job by now, or the job has ended: stop at once and write nothing.

    What the holder of an old fence wrote before stays. What it writes now is refused.
    """

    def __init__(self, job_id: str, fence: int) -> None:
        super().__init__(
            f"Fence {fence} of job {job_id} is no longer valid: the job was taken back or has "
            "ended. Stop working on it."
        )
        self.job_id = job_id
        self.fence = fence


class BadCursor(StoreError):
    """A cursor did not come from a page of this list."""

    def __init__(self, cursor: str) -> None:
        super().__init__(
            f"The cursor {cursor!r} is not one that this list gave; "
            "use `next_cursor` of the previous page unchanged, or none for the first page."
        )
        self.cursor = cursor


class BadName(StoreError):
    """A name for a file's path does not have the form that the store gives to such names."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"Expected {expected}, but got {got!r}.")
        self.expected = expected
        self.got = got


class StorageTrouble(StoreError):
    """A folder of files cannot be used at the moment. Nothing is lost, so try again later."""


class StorageAway(StorageTrouble):
    """A folder is missing, or another one is in its place. Mostly a mount is missing."""

    def __init__(
        self, noun: str, root: Path, setting: str, mark: str, expected: str, came: str
    ) -> None:
        super().__init__(
            f"The {noun} {root} is not the one that this database knows: its file {mark} should"
            f" hold {expected}, but {came}. Mount the folder. If it was moved, name its new place"
            f" by {setting}; if it is lost for good, or was copied without its mark, write"
            f" {expected} into {root / mark}."
        )
        self.root = root


class FolderOfAnother(StorageTrouble):
    """A folder holds files of another database, and this one's collector would remove them all."""

    def __init__(self, noun: str, root: Path, setting: str, mark: str) -> None:
        super().__init__(
            f"The {noun} {root} holds files and has the mark of another database. Name a folder of"
            f" its own for this one by {setting}. If that other database is gone for good, delete"
            f" {root / mark}. This database then takes the folder, and its collector removes the"
            " files that it does not know."
        )
        self.root = root


class NotWritable(StorageTrouble):
    """A folder takes no files; `errno` says why."""

    def __init__(self, noun: str, root: Path, error: OSError) -> None:
        super().__init__(f"The {noun} {root} cannot be written: {error.strerror or error}.")
        self.root = root
        self.errno = error.errno
