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

    Files in the folder `path`, each as published (.gz) or unpacked: `train-images-idx3-ubyte.gz`
    (26,421,880 bytes), `train-labels-idx1-ubyte.gz` (29,515), `t10k-images-idx3-ubyte.gz`
    (4,422,102) and `t10k-labels-idx1-ubyte.gz` (5,148). Packed files with other checksums than
    those in TensorFlow Datasets are refused. Licence: MIT. They are published at
    https://github.com/zalandoresearch/fashion-mnist.

    References:
        Xiao et al., 2017, https://arxiv.org/abs/1708.07747
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = "https://github.com/zalandoresearch/fashion-mnist"
    published_size: ClassVar[str] = "30,878,645 bytes for all four files, each packed or unpacked"
    files: ClassVar[Mapping[str, str | None]] = {
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
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
