"""Which precision a device trains in faster, found by measuring it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, get_args

import torch

from ml.networks.memory_layout import channels_last, with_channels_last
from ml.networks.networks import BoundNetworks, build, initial_parameters
from ml.networks.quick_layers import quickened
from ml.recorder import Recorder
from ml.reproducibility.environment import environment
from ml.spec.choices import Precision
from ml.spec.precision import decided
from ml.spec.run_spec import RunSpec
from ml.training.state import leads_to

CLEARLY = 1.2
"""bfloat16 has to be so many times as fast to be chosen. It has 8 bits of mantissa, and below this
its gain is within what other work on the machine changes from one measurement to the next."""

HOPELESS = 2.0
"""If the first step in bfloat16 takes so many times as long as in float32, no other is made. CPUs
that do not multiply bfloat16 take three to ten times as long."""

SHAPE, BATCH, LATENTS, ROUNDS = (64, 64, 1), 32, 10, 8


@dataclass(frozen=True)
class Measured:
    """What was measured, and on what."""

    float32: float
    """Images a second of a GPU, or of a CPU's own time, which other work does not shorten."""
    bfloat16: float | None
    """The same; None if the device has no bfloat16."""
    seconds: float
    """How long the measurement took."""
    device_model: str

    @property
    def faster(self) -> Precision:
        """bfloat16 if it is clearly faster."""
        return "bfloat16" if (self.bfloat16 or 0.0) >= CLEARLY * self.float32 else "float32"

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "faster": self.faster}


_found: dict[torch.device, Measured] = {}


def measured(device: torch.device) -> Measured:
    """The rates of this device, measured by the first call, which takes about a second or less.

    Forward and backward passes of `burgess` are made in both precisions in turns, and the quickest
    of each counts, as other work on the machine can only make one slower. The network is the same
    for all specs: a ratio that holds for convolutions and dense layers of common sizes decides the
    same for others, and runs of a sweep over architectures all get one precision.
    """
    if (known := known_rates(device)) is not None:
        return known
    began = time.perf_counter()
    steps = {"float32": _step(device, "float32"), "bfloat16": _step(device, "bfloat16")}
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        del steps["bfloat16"]
    quickest = quickest_of(steps)
    rates = {precision: round(BATCH / seconds, 1) for precision, seconds in quickest.items()}
    _found[device] = Measured(
        rates["float32"],
        rates.get("bfloat16"),
        round(time.perf_counter() - began, 3),
        str(environment(device)["device_model"]),
    )
    return _found[device]


def parsed(data: Mapping[str, Any] | RunSpec, recorder: Recorder, device: torch.device) -> RunSpec:
    """The checked spec of a run, with a measured precision if it says `auto`.

    A run that goes on from a checkpoint keeps the precision of that, whatever is measured now.
    """
    if isinstance(data, RunSpec):
        return data

    def choose() -> Precision:
        kept = recorder.restore()
        for precision in get_args(Precision):
            one = RunSpec.parse(decided(data, partial(_given, precision)))
            if kept is not None and leads_to(kept, one):
                return one.training.precision
        return measured(device).faster

    return RunSpec.parse(decided(data, choose))


def _given(precision: Precision) -> Precision:
    return precision


def known_rates(device: torch.device) -> Measured | None:
    """The rates of this device if this process has measured them."""
    return _found.get(device)


def quickest_of(steps: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """The least seconds of each step, in turns; each step returns how long it took."""
    # The first calls compile kernels and ask for memory.
    found = {name: step() for name, step in steps.items()}
    if found.get("bfloat16", 0.0) > HOPELESS * found["float32"]:
        return found
    found = {name: step() for name, step in steps.items()}
    for _ in range(ROUNDS - 1):
        found = {name: min(step(), found[name]) for name, step in steps.items()}
    return found


def _step(device: torch.device, precision: Precision) -> Callable[[], float]:
    spec = RunSpec.parse(
        {
            "dataset": "digits",
            "model": {"name": "burgess", "latent_dim": LATENTS},
            "objective": "vae",
            "training": {"precision": precision},
        }
    )
    modules = quickened(build(spec, SHAPE))
    last = channels_last(device, precision)
    parameters = {
        network: {
            name: (with_channels_last(tensor) if last else tensor).to(device).requires_grad_()
            for name, tensor in named.items()
        }
        for network, named in initial_parameters(modules, seed=0).items()
    }
    leaves = [tensor for named in parameters.values() for tensor in named.values()]
    networks = BoundNetworks(spec, modules, parameters, precision)
    height, width, channels = SHAPE
    images = torch.zeros(BATCH, channels, height, width, device=device)
    images[:, :, ::2] = 1.0

    # On a CPU this is the time of the thread, whatever other work does meanwhile.
    clock = time.thread_time if device.type == "cpu" else time.perf_counter

    def step() -> float:
        began = clock()
        head = networks.encode(images)
        costs = networks.reconstruction(spec.objective.posterior.mean(head), images)
        (first, *_) = torch.autograd.grad(costs.sum(), leaves, allow_unused=True)
        assert first is not None
        first.sum().item()  # A GPU has then computed it.
        return clock() - began

    return step
