"""The protocol of objectives: what a training loss declares, and what it is given.

An objective is written for a single model and never sees a loop, an optimizer's state or a device.
Its losses are pure functions of networks (with their parameters bound), images, named draws and
coefficients; all of them tensors or functions of tensors, which is what lets one loop train any
objective, a checkpoint resume it and a cohort run it stacked: `torch.vmap` runs the loss of one
model over all of them. A loss therefore takes no number from its own params (they are NaN while it
runs, see `Component.without_numbers`), only from its coefficients; it asks no tensor for its value
in Python, draws nothing by itself, and calls networks on what is its run's own (made of images,
draws or coefficients), outside of any further `vmap` or `grad`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Shaped
from pydantic import Field
from torch import Tensor, nn

from ml.components.component import Component
from ml.objectives.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.objectives.posteriors.protocol import Posterior
from ml.optimizers.protocol import Optimizer

Weight = Annotated[float, Field(ge=0, le=1e6)]
"""Of a term: from 0, which leaves it out, to a million."""


class Networks(Protocol):
    """The networks of a run with their present parameters bound; outputs are float32."""

    def encode(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch numbers"]:
        """Images in [0, 1] to the posterior's head."""

    def decode(
        self, latents: Float[Tensor, "batch latents"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Latents to logits."""

    def reconstruction(
        self,
        latents: Float[Tensor, "batch latents"],
        images: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, "batch"]:
        """-log p(x|z) in nats of each sample, under the likelihood of the training spec."""

    def call(
        self, network: str, inputs: Float[Tensor, "batch *inputs"]
    ) -> Float[Tensor, "batch *outputs"]:
        """One of the objective's own networks, by the name that `extra_networks` gave it."""


@dataclass(frozen=True)
class Draw:
    """Noise that an objective asks for by name, drawn anew at each step."""

    distribution: Literal["normal", "permutations"]
    """Standard normal, or along the first axis an independent permutation for each column."""
    shape: tuple[Literal["batch", "latents"], ...] = ("batch", "latents")

    def sample(
        self, generator: np.random.Generator, *, batch: int, latents: int
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.int64]]:
        shape = tuple({"batch": batch, "latents": latents}[axis] for axis in self.shape)
        if self.distribution == "normal":
            return generator.standard_normal(shape, dtype=np.float32)
        rows = np.arange(shape[0]).reshape(-1, *([1] * (len(shape) - 1)))
        return generator.permuted(np.broadcast_to(rows, shape), axis=0)


@dataclass(frozen=True)
class Step:
    """What a loss is given besides the networks: one step of one run."""

    images: tuple[Float[Tensor, "batch channels height width"], ...]
    """`images[k]` is the k-th independent batch, in [0, 1]."""
    population: int
    """How many images the data set has."""
    draws: Mapping[str, Tensor]
    """The draws that the objective needs, by name."""
    coefficients: Mapping[str, Float[Tensor, ""]]
    """The objective's coefficients."""
    done: Shaped[Tensor, ""]
    """Steps made before this one."""
    carry: Mapping[str, Tensor]
    """What the losses of earlier updates of this step handed on."""


class Loss(NamedTuple):
    """What a loss function returns."""

    value: Float[Tensor, ""]
    """Minimised over the update's parameters."""
    terms: Mapping[str, Tensor] = {}
    """What is logged: scalars, or one number a latent."""
    carry: Mapping[str, Tensor] = {}
    """Values, detached by the loop, that later updates of the same step may use."""


LossFunction = Callable[[Networks, Step], Loss]


@dataclass(frozen=True)
class Update:
    """One optimizer step on one group of parameters; a step of training makes them in order."""

    loss: LossFunction
    group: str = "model"
    """"model" (encoder and decoder) or one of the objective's own groups; one update for each."""


@dataclass(frozen=True)
class Needs:
    """What a step must bring."""

    batches: int = 1
    """How many independent batches of images."""
    draws: Mapping[str, Draw] = field(default_factory=lambda: {"noise": Draw("normal")})


class KLWeight(NamedTuple):
    """A param that weighs the KL, or a part of it, against the reconstruction."""

    param: str
    turned: Literal["lower", "raise"]
    """What to do with it for latents to hold more of the image."""
    coefficient: str
    """The coefficient that it gives its value to."""


class Objective(Component):
    """A training loss and its regularisers."""

    kind: ClassVar[str] = "objective"
    posterior: ClassVar[Posterior] = DiagonalGaussian()

    def needs(self) -> Needs:
        """Batches and draws of one step; one batch and standard normal `noise` by default."""
        return Needs()

    def extra_networks(self, latents: int) -> dict[str, nn.Module]:  # noqa: ARG002
        """Networks beside encoder and decoder, each a parameter group under its name."""
        return {}

    @abstractmethod
    def loss(self, networks: Networks, step: Step) -> Loss:
        """The loss of encoder and decoder."""

    def updates(self) -> tuple[Update, ...]:
        """The optimizer steps that make one step of training, in order.

        Each sees the parameters as the updates before it left them, and in `carry` what their
        losses handed on. By default one, of encoder and decoder.
        """
        return (Update(self.loss),)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Optimizers of groups that do not use the training spec's, by group.

        They follow the training spec's schedule and clipping like all others.
        """
        return {}

    def kl_weights(self) -> tuple[KLWeight, ...]:
        """What of its params presses latents to the prior, the first to be turned first.

        None by default, as of a VAE, whose KL has the weight 1.
        """
        return ()

    def unreached(self, steps: int) -> Mapping[str, str]:  # noqa: ARG002
        """What of it a run of `steps` ends too early for: a sentence by the param that asks for it.

        Of an objective that counts no steps, nothing.
        """
        return {}

    @abstractmethod
    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:
        """The numbers that weigh the terms; `pixels` counts channels too.

        They reach the losses as tensors, each times its schedule in `training.coefficients`. Their
        names are the same whatever the numbers are.
        """


def checked_updates(objective: Objective) -> tuple[Update, ...]:
    """The objective's updates.

    Raises:
        TypeError: two of them are for one group, or none is for "model".
    """
    updates = objective.updates()
    groups = [update.group for update in updates]
    if "model" not in groups or len(set(groups)) < len(groups):
        raise TypeError(
            f'objective {objective.name!r} must have one update for each group, "model" among'
            f" them, but has them for {groups}"
        )
    return updates
