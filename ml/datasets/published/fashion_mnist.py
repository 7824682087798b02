"""Fashion-MNIST, read from its four idx files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from ml.components.registry import register
from ml.datasets.protocol import OperatorPath
from ml.datasets.published._idx import IdxImages


@register
class FashionMnist(IdxImages):
    """Fashion-MNIST: 70,000 grey images of clothes and shoes, 28 x 28, enlarged to 64 x 64.

    The article (10) is the only factor. The 60,000 images for training come first, then the 10,000
    for tests. With `size` 32 they have a border of two black pixels; with 64 that is enlarged.

    Files in the folder `path`, each as `.gz` or unpacked, about 30 MB packed, with the MD5 of the
    packed ones: `train-images-idx3-ubyte.gz` 8d4fb7e6c68d591d4c3dfef9ec88bf0d,
    `train-labels-idx1-ubyte.gz` 25c81989df183df01b3e8a0aad5dffbe, `t10k-images-idx3-ubyte.gz`
    bef4ecab320f06d8554ea6380940ec79, `t10k-labels-idx1-ubyte.gz` bb300cfdad3c16e7a12a480ee83cd310.
    Licence: MIT. They are published at https://github.com/zalandoresearch/fashion-mnist.

    References:
        Xiao et al., 2017, https://arxiv.org/abs/1708.07747
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = "https://github.com/zalandoresearch/fashion-mnist"
    published_size: ClassVar[str] = "about 30 MB for all four files, each packed or unpacked"
    files: ClassVar[Mapping[str, str | None]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    factor: ClassVar[str] = "article"
    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    )
    name: Literal["fashion_mnist"] = "fashion_mnist"
    path: OperatorPath = "fashion_mnist"
    """The folder of the four files, relative to the data folder."""
