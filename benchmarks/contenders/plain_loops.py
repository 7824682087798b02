"""The `burgess` beta-VAE as tutorials train it in PyTorch, by hand.

`python -m benchmarks.contenders.plain_loops NAME TASK`, as `benchmarks.peers` starts it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.contenders.contender import (
    BETA,
    LATENTS,
    LEARNING_RATE,
    Clock,
    Found,
    Losses,
    Replay,
    Task,
    serve,
)


def encoder() -> nn.Sequential:
    """The encoder of Burgess et al., 2018. It ends in means and log-variances."""
    layers: list[nn.Module] = []
    for channels in (1, 32, 32, 32):
        layers += [nn.Conv2d(channels, 32, 4, stride=2, padding=1), nn.ReLU()]
    layers += [nn.Flatten(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 2 * LATENTS))


def decoder() -> nn.Sequential:
    """The decoder of Burgess et al., 2018. It ends in logits."""
    layers: list[nn.Module] = [nn.Linear(LATENTS, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    layers += [nn.Linear(256, 512), nn.ReLU(), nn.Unflatten(1, (32, 4, 4))]
    for _ in range(3):
        layers += [nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1))


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder(), decoder()

    def forward(self, images: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        deviation = (0.5 * log_variance).exp()
        noise = torch.randn_like(mean) if noise is None else noise
        return self.decoder(mean + deviation * noise), mean, log_variance


def beta_vae_loss(logits: Tensor, images: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    cross_entropy = functional.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    kl = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum()
    return (cross_entropy + BETA * kl) / len(images)


class _PlainLoop:
    def __init__(self, task: Task) -> None:
        self.task, self.images = task, task.read()
        self.model = VAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)

    def loss(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        half = self.task.precision == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            logits, mean, log_variance = self.model(images, noise)
        return beta_vae_loss(logits.float(), images, mean.float(), log_variance.float())

    def replay(self) -> Losses:
        replay = Replay(self.task.folder)
        replay.load(self.model.encoder, "encoder")
        replay.load(self.model.decoder, "decoder")
        return replay.losses(self.model, self.loss)

    def batches(self) -> Iterator[Tensor]:
        raise NotImplementedError

    def round(self) -> Found:
        clock, total = Clock(self.task), 0.0
        for images in self.batches():
            self.optimizer.zero_grad()
            loss = self.loss(images)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            total += loss.item()
            clock.step()
        return clock.found()


class Loaded(_PlainLoop):
    """Batches come from a DataLoader that shuffles, in the same process."""

    def batches(self) -> Iterator[Tensor]:
        data = TensorDataset(self.images)
        for (images,) in DataLoader(data, batch_size=self.task.batch, shuffle=True, num_workers=0):
            yield images


class Resident(_PlainLoop):
    """Batches are rows of one tensor, at random indices."""

    def batches(self) -> Iterator[Tensor]:
        for _ in range(self.task.warm + self.task.steps):
            yield self.images[torch.randint(len(self.images), (self.task.batch,))]


if __name__ == "__main__":
    serve({"loaded": Loaded, "resident": Resident})
