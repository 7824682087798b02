"""The scores of DRVI: latent matching, most similar averaging, most similar gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.components.registry import register
from ml.metrics.identifiability.assignment import best_assignment
from ml.metrics.information.gaps import best_and_second
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Number


@register
class DRVI(InformationMetric):
    r"""The scores of DRVI: how well single latents hold the processes behind the data.

    The processes are the factors. The similarity of a latent to a process is the scaled mutual
    information, S_dk = I(z_d; v_k) / H(v_k), with latents cut into `bins` bins of equal width.
    Three numbers summarise the matrix:

    - `lms`, the latent matching score: the mean over processes of S under the one-to-one assignment
      of latents with the largest sum. A process without a latent counts 0.
    - `msas`, the most similar averaging score: the mean over processes of the largest S. Latents
      may be taken twice, so codes in which one latent holds everything have it, too.
    - `msgs`, the most similar gap score: the mean over processes of the largest S less the second.
      It is `mig`, with 10 bins in place of 20.

    They are in [0, 1], and higher is better. msgs and lms are at most msas.

    The authors score types of cells, and each type is a process of its own, present or absent. For
    that give each class as a column of zeros and ones. Of their three similarities this is the one
    that they call SMI. It is estimated by counting, as `discrete_mutual_info_score` of their
    package does. In the paper it is estimated from nearest neighbours, which their package has
    since called unfit.

    Raises:
        ConstantFactor: a factor takes a single value.

    References:
        Moinfar and Theis, 2024, https://doi.org/10.1101/2024.11.06.622266
    """

    name: Literal["drvi"] = "drvi"
    numbers: ClassVar[Sequence[Number]] = (Number("lms"), Number("msas"), Number("msgs"))
    bins: Annotated[int, Field(ge=2, le=1000)] = 10
    """Number of bins of equal width that a code is cut into."""

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        return self.aggregates(known)["lms"]

    def aggregates(
        self, known: Information
    ) -> Mapping[str, tuple[float, Mapping[str, np.ndarray]]]:
        similarity = known.mutual / known.factors
        latents, matched = best_assignment(similarity)
        best, second = best_and_second(similarity)
        return {
            "lms": (
                float(matched.mean()),
                {"latent_of_factor": latents, "per_factor": matched},
            ),
            "msas": (
                float(best.mean()),
                {"latent_of_factor": similarity.argmax(0), "per_factor": best},
            ),
            "msgs": (float((best - second).mean()), {"per_factor": best - second}),
        }
