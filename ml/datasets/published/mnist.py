"""MNIST, read from its four idx files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from ml.components.registry import register
from ml.datasets.protocol import OperatorPath
from ml.datasets.published._idx import IdxImages


@register
class Mnist(IdxImages):
    """MNIST: 70,000 grey images of handwritten digits, 28 x 28, enlarged to 64 x 64.

    The digit (10) is the only factor. The 60,000 images for training come first, then the 10,000
    for tests. With `size` 32 they have a border of two black pixels; with 64 that is enlarged.

    Files in the folder `path`, each as `.gz` or unpacked, about 12 MB packed, with the MD5 of
    the packed ones: `train-images-idx3-ubyte.gz` f68b3c2dcbeaaa9fbdd348bbdeb94873,
    `train-labels-idx1-ubyte.gz` d53e105ee54ea40749a09fcbcd1e9432, `t10k-images-idx3-ubyte.gz`
    9fb629c4189551a2d022fa330f9573f3, `t10k-labels-idx1-ubyte.gz` ec29112dd5afa0611ce80d1b7f02629c.
    Licence: Creative Commons Attribution-Share Alike 3.0, as Keras states. They were published at
    http://yann.lecun.com/exdb/mnist and are copied at https://ossci-datasets.s3.amazonaws.com/mnist.

    References:
        LeCun et al., 1998, https://doi.org/10.1109/5.726791
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = (
        "http://yann.lecun.com/exdb/mnist, with a copy at"
        " https://ossci-datasets.s3.amazonaws.com/mnist"
    )
    published_size: ClassVar[str] = "about 12 MB for all four files, each packed or unpacked"
    files: ClassVar[Mapping[str, str | None]] = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    factor: ClassVar[str] = "digit"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    name: Literal["mnist"] = "mnist"
    path: OperatorPath = "mnist"
    """The folder of the four files, relative to the data folder."""
