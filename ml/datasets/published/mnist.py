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

    Files in the folder `path`, each as published (.gz) or unpacked: `train-images-idx3-ubyte.gz`
    (9,912,422 bytes), `train-labels-idx1-ubyte.gz` (28,881), `t10k-images-idx3-ubyte.gz`
    (1,648,877) and `t10k-labels-idx1-ubyte.gz` (4,542). Packed files with other checksums than
    those in TensorFlow Datasets are refused. Licence: Creative Commons Attribution-Share Alike 3.0,
    as Keras states. They were published at http://yann.lecun.com/exdb/mnist and are copied at
    https://ossci-datasets.s3.amazonaws.com/mnist.

    References:
        LeCun et al., 1998, https://doi.org/10.1109/5.726791
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = (
        "http://yann.lecun.com/exdb/mnist, with a copy at"
        " https://ossci-datasets.s3.amazonaws.com/mnist"
    )
    published_size: ClassVar[str] = "11,594,722 bytes for all four files, each packed or unpacked"
    files: ClassVar[Mapping[str, str | None]] = {
        "train-images-idx3-ubyte.gz": (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        "train-labels-idx1-ubyte.gz": (
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    }
    factor: ClassVar[str] = "digit"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    name: Literal["mnist"] = "mnist"
    path: OperatorPath = "mnist"
    """The folder of the four files, relative to the data folder."""
