"""Writes a program that loads a run's weights with torch alone. It has the networks in full."""

from __future__ import annotations

from textwrap import indent

import torch
from torch import nn

from ml.networks.model import Model
from ml.networks.networks import MODEL, build
from ml.objectives.posteriors.protocol import Posterior

AGREES = 1e-4
"""Sums in float32 differ by less than this on other machines."""


class NotPlain(Exception):
    """A network cannot be written out, as it has a part that torch does not have."""

    def __init__(self, part: str) -> None:
        self.part = part
        super().__init__(f"{part} is no layer of torch's own; load the weights with Heddle")


def plain_loader(model: Model, title: str) -> str:
    """The text of `load.py`, which has `encode` and `decode` of this model, and checks both if run.

    It needs torch, numpy and safetensors, and reads `weights.safetensors` and `check.npz` from its
    own folder.

    Raises:
        NotPlain: torch alone cannot express a layer or the posterior.
    """
    modules = build(model.spec, model.image_shape)
    height, width, channels = model.image_shape
    shape = f"(n, {height}, {width}, {channels})"
    latents = model.spec.model.latent_dim
    networks = "\n".join(f"{name} = {_written(modules[name])}" for name in MODEL)
    return f'''\
"""{_one_line(title)}.

Encodes and decodes with torch, numpy and safetensors alone.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

HERE = Path(__file__).parent

{networks}

weights = load_file(HERE / "weights.safetensors")
for name, network in (("encoder", encoder), ("decoder", decoder)):
    own = {{key.split("/")[1]: weights[key] for key in weights if key.startswith(name + "/")}}
    network.load_state_dict(own)
    network.eval().requires_grad_(False)


def encode(images):
    """Images {shape} in [0, 1] to posterior means (the codes) and log variances, (n, {latents})."""
    head = encoder(torch.as_tensor(images, dtype=torch.float32).permute(0, 3, 1, 2))
    {_head(model.spec.objective.posterior)}
    return mean.numpy(), log_variance.numpy()


def decode(latents):
    """Latents (n, {latents}) to the means of pixels {shape} in [0, 1]."""
    logits = decoder(torch.as_tensor(latents, dtype=torch.float32))
    return logits.sigmoid().permute(0, 2, 3, 1).numpy()


if __name__ == "__main__":
    check = np.load(HERE / "check.npz")
    mean, _ = encode(check["images"])
    codes, pixels = np.abs(mean - check["mean"]), np.abs(decode(check["mean"]) - check["decoded"])
    print(f"{{len(mean)}} images: codes differ by at most {{codes.max():.1e}} from Heddle's,"
          f" decoded pixels by {{pixels.max():.1e}}.")
    raise SystemExit(int(max(codes.max(), pixels.max()) > {AGREES:g}))
'''


def _written(network: nn.Module) -> str:
    """The Python expression that makes a network. Its sequences may be nested.

    Raises:
        NotPlain: a layer is not one of torch's own.
    """
    if type(network) is nn.Sequential:
        layers = "\n".join(f"{_written(layer)}," for layer in network)
        return f"nn.Sequential(\n{indent(layers, '    ')}\n)"
    if getattr(nn, type(network).__name__, None) is not type(network):
        raise NotPlain(type(network).__qualname__)
    # The repr of a torch layer is the call that makes it.
    text = repr(network)
    if any(True for _ in network.children()) or not _makes_again(text):
        raise NotPlain(text)
    return f"nn.{text}"


def _makes_again(text: str) -> bool:
    try:
        with torch.device("meta"):
            return repr(eval(f"nn.{text}", {"nn": nn})) == text  # noqa: S307 - torch's own text.
    except (SyntaxError, TypeError, ValueError, NameError):
        return False


def _head(posterior: Posterior) -> str:
    # The line is not inherited, as a subclass may give its head another meaning.
    line: str | None = vars(type(posterior)).get("head_in_torch")
    if line is None:
        raise NotPlain(type(posterior).__qualname__)
    return line


def _one_line(text: str) -> str:
    return " ".join(text.replace("\\", " ").replace('"', " ").split())
