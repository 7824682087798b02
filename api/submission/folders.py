"""The folders of the data folder that uploads go through."""

from __future__ import annotations

from ml.datasets.protocol import data_folder
from store.files.dataset_folder import DatasetFolder
from store.files.upload_folder import UPLOADS, UploadFolder


def stored_datasets() -> DatasetFolder:
    """The folder of what is stored of uploaded data sets, where `image_table` opens it."""
    return DatasetFolder.below(data_folder())


def uploads() -> UploadFolder:
    """The folder of files that come in parts, or have come and are not stored yet."""
    return UploadFolder(data_folder() / UPLOADS)
