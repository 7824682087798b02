"""The `burgess` beta-VAE as pythae trains it: its `BetaVAE`, by its `BaseTrainer`.

`python -m benchmarks.contenders.pythae_trainer NAME TASK`, as `benchmarks.peers` starts it, by the
Python of an environment that has pythae. The environment is made once, in a folder that is kept. It
sees the libraries that this one has, so torch is the same, and only pythae and what it needs beside
them are installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

VERSION = "0.1.2"


class NotInstalled(RuntimeError):
    """pythae could not be installed."""


def environment(folder: Path) -> str:
    """The Python of an environment with pythae, which is made if need be.

    Raises:
        NotInstalled: pip could not install it, with the end of what pip said.
    """
    import torch

    ours = sysconfig.get_path("purelib")
    made, wanted = folder / "made-from.json", [VERSION, torch.__version__, sys.version, ours]
    python = folder / "bin" / "python"
    if made.exists() and json.loads(made.read_text()) == wanted and python.exists():
        return str(python)
    venv.create(folder, clear=True, with_pip=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "beside.pth").write_text(f"{ours}\n")
    # pip sees our torch there. The pin keeps it from another one.
    pinned = f"torch=={torch.__version__}"
    command = [str(python), "-m", "pip", "install", "--quiet", f"pythae=={VERSION}", pinned]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise NotInstalled(f"pythae {VERSION}: {answer.stderr.strip()[-500:]}")
    made.write_text(json.dumps(wanted))
    return str(python)


def cache() -> Path:
    """Where the environment is kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home, "heddle-benchmarks", "pythae")


def main() -> None:
    # Only the other environment has pythae.
    from pythae.data.datasets import BaseDataset
    from pythae.models import BetaVAE, BetaVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback
    from torch import Tensor, zeros

    from benchmarks.contenders import plain_loops
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

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = plain_loops.encoder()

        def forward(self, images: Tensor) -> ModelOutput:
            mean, log_variance = self.layers(images).chunk(2, dim=1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.layers = plain_loops.decoder()

        def forward(self, latents: Tensor) -> ModelOutput:
            # pythae's cross entropy takes probabilities.
            return ModelOutput(reconstruction=self.layers(latents).sigmoid())

    class Ticking(TrainingCallback):
        def __init__(self, clock: Clock) -> None:
            self.clock = clock

        def on_train_step_end(self, *_: object, **__: object) -> None:
            self.clock.step()

    class Pythae:
        def __init__(self, task: Task) -> None:
            self.task, images = task, task.read()
            self.data = BaseDataset(images, zeros(len(images)))
            config = BetaVAEConfig(
                input_dim=(1, 64, 64), latent_dim=LATENTS, beta=BETA, reconstruction_loss="bce"
            )
            self.model = BetaVAE(config, Encoder(), Decoder())

        def loss(self, images: Tensor, noise: Tensor) -> Tensor:
            self.model._sample_gauss = lambda mean, deviation: (mean + deviation * noise, noise)
            return self.model(BaseDataset(images, zeros(len(images)))[:]).loss

        def replay(self) -> Losses:
            replay = Replay(self.task.folder)
            replay.load(self.model.encoder.layers, "encoder")
            replay.load(self.model.decoder.layers, "decoder")
            found = replay.losses(self.model, self.loss)
            del self.model._sample_gauss  # The model's own draws again.
            return found

        def round(self) -> Found:
            clock = Clock(self.task)
            with tempfile.TemporaryDirectory() as folder:
                config = BaseTrainerConfig(
                    output_dir=folder,
                    num_epochs=1,
                    per_device_train_batch_size=self.task.batch,
                    train_dataloader_num_workers=0,
                    optimizer_cls="Adam",
                    learning_rate=LEARNING_RATE,
                    no_cuda=True,
                )
                trainer = BaseTrainer(
                    self.model,
                    train_dataset=self.data,
                    training_config=config,
                    callbacks=[Ticking(clock)],
                )
                trainer.train()
            return clock.found()

    serve({"pythae": Pythae})


if __name__ == "__main__":
    main()
