import pytest
import torch

from ml.optimizers.adam import Adam


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adam_moves_as_torchs_own(weight_decay: float) -> None:
    torch.manual_seed(0)
    ours = {"w": torch.randn(5, 3), "b": torch.randn(3)}
    theirs = [tensor.clone().requires_grad_() for tensor in ours.values()]
    adam = Adam(learning_rate=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=weight_decay)
    reference = torch.optim.Adam(
        theirs, lr=0.01, betas=(0.8, 0.99), eps=1e-6, weight_decay=weight_decay, foreach=False
    )
    state = adam.init(ours)
    for step in range(50):
        gradients = {name: torch.randn_like(tensor) for name, tensor in ours.items()}
        for tensor, gradient in zip(theirs, gradients.values(), strict=True):
            tensor.grad = gradient.clone()
        reference.step()
        adam.update(ours, gradients, state, step=step, factor=1.0)
    for mine, other in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(mine, other.detach(), rtol=1e-6, atol=1e-7)


def test_the_first_step_of_adam_is_the_learning_rate_against_the_sign_of_the_gradient() -> None:
    # m^ / (sqrt(v^) + eps) = g / |g| at the first step.
    parameters = {"w": torch.tensor([1.0, 1.0])}
    adam = Adam(learning_rate=0.25)
    adam.update(
        parameters, {"w": torch.tensor([3.0, -0.5])}, adam.init(parameters), step=0, factor=2.0
    )
    torch.testing.assert_close(parameters["w"], torch.tensor([0.5, 1.5]))
