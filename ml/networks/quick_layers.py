"""Layers that compute what torch's own compute, in less time on a CPU.

Architectures are written in torch's layers, which is what an export writes down, too. Before
networks are called, `quickened` has some of these layers take another way to the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def quickened(modules: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """The same modules, changed in place. Their parameters keep names and shapes."""
    for network in modules.values():
        for module in network.modules():
            # The subclasses have the attributes of torch's classes.
            if type(module) is nn.ConvTranspose2d and _is_plain(module):
                module.__class__ = _TransposedConvolution
            if type(module) is nn.Sequential:
                module.__class__ = _Sequence
    return modules


def _is_plain(layer: nn.ConvTranspose2d) -> bool:
    return layer.groups == 1 and layer.dilation == (1, 1) and layer.bias is not None


class _Sequence(nn.Sequential):
    """Overwrites at its ReLUs. Whoever calls its layers one by one has ReLUs that do not."""

    def forward(self, inputs: Tensor) -> Tensor:
        layers = list(self)
        for place, layer in enumerate(layers):
            if inputs.device.type == "cpu" and overwrites(layers, place):
                inputs = _OverwritingReLU.apply(inputs)  # type: ignore[no-untyped-call]
            else:
                inputs = layer(inputs)
        return inputs


def overwrites(layers: Sequence[nn.Module], place: int) -> bool:
    """Whether the layer here is a ReLU whose input and gradient nobody else reads."""
    if type(layers[place]) is not nn.ReLU or not 0 < place < len(layers) - 1:
        return False
    return type(layers[place - 1]) in LAYERS and type(layers[place + 1]) in LAYERS


class _OverwritingReLU(torch.autograd.Function):
    """A ReLU that overwrites its input and its gradient, which nobody else reads.

    The activations of the outer convolutions do not fit in a core's cache, so that each tensor less
    is a way to the memory less.
    """

    @staticmethod
    def forward(inputs: Tensor) -> Tensor:
        return inputs.relu_()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.mark_dirty(inputs[0])
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (outputs,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            # It is going to be differentiated once more.
            return torch.ops.aten.threshold_backward(gradient, outputs, 0)  # type: ignore[no-any-return]
        torch.ops.aten.threshold_backward.grad_input(gradient, outputs, 0, grad_input=gradient)
        return gradient

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[int], inputs: Tensor) -> tuple[Tensor, int]:
        return inputs.relu(), in_dims[0]


class _TransposedConvolution(nn.ConvTranspose2d):
    def forward(self, images: Tensor, output_size: list[int] | None = None) -> Tensor:
        device = images.device.type
        if device != "cpu" or output_size is not None:
            return super().forward(images, output_size)
        assert self.bias is not None
        tensors = (images, self.weight, self.bias)
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
            tensors = tuple(tensor.to(dtype) for tensor in tensors)  # type: ignore[assignment]
        outputs = _Transposed.apply(  # type: ignore[no-untyped-call]
            *tensors, self.stride, self.padding, self.output_padding
        )
        assert isinstance(outputs, Tensor)
        return outputs


class _Transposed(torch.autograd.Function):
    """A transposed convolution whose bias gets its gradient from a sum.

    oneDNN's own gradient of the bias takes several times as long as that of the weights in
    bfloat16. With AVX2 alone and channels first it is off by 3e-4 for one channel in float32.
    """

    @staticmethod
    def forward(
        images: Tensor,
        weight: Tensor,
        bias: Tensor,
        stride: tuple[int, int],
        padding: tuple[int, int],
        output_padding: tuple[int, int],
    ) -> Tensor:
        if weight.shape[1] > 1:
            return functional.conv_transpose2d(
                images, weight, bias, stride, padding, output_padding
            )
        # oneDNN takes as long for one channel as for sixteen. With one, a matrix product makes a
        # patch of each pixel that comes in, and patches that overlap are added.
        patches = weight.flatten(1).t().expand(len(images), -1, -1) @ images.flatten(2)
        (height, width), kernel = images.shape[2:], (weight.shape[2], weight.shape[3])
        sides = (
            (height - 1) * stride[0] - 2 * padding[0] + kernel[0] + output_padding[0],
            (width - 1) * stride[1] - 2 * padding[1] + kernel[1] + output_padding[1],
        )
        patches = patches.to(_summed_in(patches))
        folded = functional.fold(patches, sides, kernel, padding=padding, stride=stride)
        return folded.add_(bias.view(1, -1, 1, 1)).to(images.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        images, weight, _, *ctx.shape = inputs
        ctx.save_for_backward(images, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        stride, padding, output_padding = ctx.shape
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        of_images, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient, images, weight, None, stride, padding, (1, 1), True, output_padding, 1, wanted
        )
        of_bias = gradient.sum((0, 2, 3), dtype=_summed_in(gradient)).to(gradient.dtype)
        return of_images, of_weight, of_bias, None, None, None

    @staticmethod
    def vmap(_info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """Several models at once are torch's own grouped convolution."""
        tensors, (stride, padding, output_padding) = inputs[:3], inputs[3:]

        def of_one(images: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return functional.conv_transpose2d(
                images, weight, bias, stride, padding, output_padding
            )

        return torch.vmap(of_one, in_dims[:3])(*tensors), 0


LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, _TransposedConvolution)
"""Layers that do not read their output again, and whose gradients are tensors of their own.
Architectures may have subclasses that do."""


def _summed_in(tensor: Tensor) -> torch.dtype:
    """Sums of many numbers are made in float32 at least."""
    return torch.promote_types(tensor.dtype, torch.float32)
