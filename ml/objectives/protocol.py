"""The protocol of objectives: what a training loss declares, and what it is given.

An objective is written for a single model and never sees a loop, an optimizer's state or a device.
Its losses are pure functions of networks (with their parameters bound), images, named draws and
coefficients. All of these are tensors or functions of tensors. So one loop can train any objective,
a checkpoint can resume it, and a cohort can run it stacked, where `torch.vmap` runs the loss of one
model over all models.

Every loss therefore keeps four rules:

- It takes numbers from its coefficients, never from its own params. These are NaN while it runs
  (see `Component.without_numbers`).
- It asks no tensor for its value in Python.
- It draws nothing by itself.
- It calls networks only on tensors of its own run, made of images, draws or coefficients, and
  outside of any further `vmap` or `grad`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Shaped
from pydantic import Field
from torch import Tensor, nn

from ml.components.component import Component
from ml.datasets.dataset import FactorKind
from ml.objectives.posteriors.diagonal_gaussian import DiagonalGaussian
from ml.objectives.posteriors.protocol import Posterior
from ml.optimizers.protocol import Optimizer

Weight = Annotated[float, Field(ge=0, le=1e6)]
"""The weight of a term, up to a million. A weight of 0 leaves the term out."""


class Networks(Protocol):
    """The networks of a run with their present parameters bound. Outputs are float32."""

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
    """Noise that an objective needs under a name of its own. It is drawn anew at each step."""

    distribution: Literal["normal", "permutations"]
    """Standard normal, or an independent permutation along the first axis for each column."""
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
class Pairs:
    """A second image for each image of the first batch. The two share all factors but a few."""

    changed: int | None = None
    """How many factors differ. If None, it is drawn for each pair, from 1 to all but one."""
    by_latent: bool = False
    """Whether latent k stands for factor k, so that there must be a latent for each factor."""


@dataclass(frozen=True)
class Labels:
    """A batch of images whose factors are known to the loss."""

    images: int
    """How many images of the data set have labels. A run has the same ones at every step."""
    factors: tuple[str, ...] | None = None
    """The labelled factors in the order of the labels. If None, they are the data set's."""
    by_latent: bool = False
    """Whether latent k stands for factor k, so that there must be a latent for each factor."""


@dataclass(frozen=True)
class Step:
    """What a loss is given besides the networks: one step of one run."""

    images: tuple[Float[Tensor, "batch channels height width"], ...]
    """`images[k]` is the k-th independent batch, in [0, 1]. After these come the second images of
    the pairs with `images[0]`, and then the labelled images, if the objective needs them."""
    population: int
    """How many images the data set has."""
    draws: Mapping[str, Tensor]
    """The draws that the objective needs, by name."""
    coefficients: Mapping[str, Float[Tensor, ""]]
    """The objective's coefficients."""
    done: Shaped[Tensor, ""]
    """Steps made before this one."""
    carry: Mapping[str, Tensor]
    """The `carry` of the losses of earlier updates of this step."""
    inputs: tuple[Float[Tensor, "batch channels height width"], ...] = ()
    """What the encoder sees of `images`: the same images, with the noise or with the hidden square
    that the data set's params put there. The loss reconstructs `images`."""
    changed: Bool[Tensor, "batch factors"] | None = None
    """Which factors differ in each pair. None if the objective needs no pairs."""
    labels: Float[Tensor, "batch factors"] | None = None
    """The labels of the last batch, in [0, 1]: of a discrete factor the number of its value by how
    many values it has, of a continuous one its place between the least and the greatest value. None
    if the objective needs no labels."""

    def __post_init__(self) -> None:
        if not self.inputs:
            object.__setattr__(self, "inputs", self.images)


class Loss(NamedTuple):
    """What a loss function returns."""

    value: Float[Tensor, ""]
    """The value to minimise over the update's parameters."""
    terms: Mapping[str, Tensor] = {}
    """Terms to log: scalars, or one number a latent."""
    carry: Mapping[str, Tensor] = {}
    """Values for later updates of the same step. The loop detaches them."""


LossFunction = Callable[[Networks, Step], Loss]


@dataclass(frozen=True)
class Update:
    """One optimizer step on one group of parameters. A training step has several in order."""

    loss: LossFunction
    group: str = "model"
    """"model" (encoder and decoder) or one of the objective's own groups. Each group has one
    update."""


@dataclass(frozen=True)
class Needs:
    """Batches and draws that one step needs."""

    batches: int = 1
    """How many independent batches of images."""
    draws: Mapping[str, Draw] = field(default_factory=lambda: {"noise": Draw("normal")})
    pairs: Pairs | None = None
    """Whether the first batch is one of pairs."""
    labels: Labels | None = None
    """Whether there is a batch with labels."""

    @property
    def all_batches(self) -> int:
        """How many batches of images `Step.images` has."""
        return self.batches + (self.pairs is not None) + (self.labels is not None)

    def unmet(self, factors: Mapping[str, FactorKind], latents: int) -> str | None:
        """What the factors of a data set lack, if anything, as `expected` of an error.

        Args:
            factors: the kind of each factor that takes several values.
            latents: how many latents the model has.
        """
        listed = ", ".join(factors) or "none"
        if self.pairs is not None:
            if not factors or "continuous" in factors.values():
                return f"a data set with discrete factors alone, not {_described(factors)}"
            if (self.pairs.changed or 1) > len(factors):
                return f"changed of at most {len(factors)}, as the factors are {listed}"
            if self.pairs.by_latent and len(factors) > latents:
                return f"a latent for each factor: {listed}, not {latents} latents"
        if self.labels is not None:
            names = self.labels.factors or tuple(factors)
            if not names or not set(names) <= set(factors):
                wanted = "" if self.labels.factors is None else f" {', '.join(names)}"
                return f"a data set with factors{wanted} that take several values, not {listed}"
            if self.labels.by_latent and len(names) > latents:
                return f"a latent for each factor: {', '.join(names)}, not {latents} latents"
        return None


def _described(factors: Mapping[str, FactorKind]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in factors.items()) or "none"


class KLWeight(NamedTuple):
    """A param that weighs the KL, or a part of it, against the reconstruction."""

    param: str
    turned: Literal["lower", "raise"]
    """Which way to change it so that latents hold more of the image."""
    coefficient: str
    """The coefficient that takes its value from the param."""


class Objective(Component):
    """A training loss and its regularisers."""

    kind: ClassVar[str] = "objective"
    posterior: ClassVar[Posterior] = DiagonalGaussian()

    def needs(self) -> Needs:
        """Batches and draws of one step. By default one batch and standard normal `noise`."""
        return Needs()

    def extra_networks(self, latents: int) -> dict[str, nn.Module]:  # noqa: ARG002
        """Networks besides encoder and decoder. Each is a parameter group under its name."""
        return {}

    @abstractmethod
    def loss(self, networks: Networks, step: Step) -> Loss:
        """The loss of encoder and decoder."""

    def updates(self) -> tuple[Update, ...]:
        """The optimizer steps that make one step of training, in order.

        Each update sees the parameters that the updates before it left, and the values that their
        losses put in `carry`. By default there is one update, of encoder and decoder.
        """
        return (Update(self.loss),)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Optimizers, by group, of the groups that do not use the training spec's optimizer.

        They follow the training spec's schedule and clipping all the same.
        """
        return {}

    def kl_weights(self) -> tuple[KLWeight, ...]:
        """The params that press latents to the prior, in the order in which to change them.

        There are none by default, as in a VAE, whose KL has the weight 1.
        """
        return ()

    def unreached(self, steps: int) -> Mapping[str, str]:  # noqa: ARG002
        """The params whose effect a run of `steps` ends too early for, each with a sentence why.

        An objective that counts no steps has none.
        """
        return {}

    @abstractmethod
    def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:
        """The numbers that weigh the terms. `pixels` counts channels, too.

        They reach the losses as tensors, each multiplied by its schedule in
        `training.coefficients`. Their names do not depend on the numbers.
        """


def checked_updates(objective: Objective) -> tuple[Update, ...]:
    """The objective's updates, checked.

    Raises:
        TypeError: two updates have the same group, or no update has the group "model".
    """
    updates = objective.updates()
    groups = [update.group for update in updates]
    if "model" not in groups or len(set(groups)) < len(groups):
        raise TypeError(
            f'objective {objective.name!r} must have one update for each group, "model" among'
            f" them, but has them for {groups}"
        )
    return updates
