"""What latents tell about factors."""

from __future__ import annotations

import numpy as np

from ml.metrics.information.mutual_information import shares_told
from ml.plots.protocol import Material


def shares(material: Material) -> tuple[np.ndarray, list[str]]:
    """Mutual information over the factor's entropy, (latents, factors), and the factors' names.

    Only of factors that vary; codes are cut into 20 bins of equal width.
    """
    factors = material.encoded.factors
    varying = [k for k in range(len(material.factor_names)) if np.ptp(factors[:, k]) > 0]
    if not varying:
        return np.empty((material.encoded.mean.shape[1], 0)), []
    classes = np.stack([np.unique(factors[:, k], return_inverse=True)[1] for k in varying], 1)
    return shares_told(material.encoded.mean, classes), [material.factor_names[k] for k in varying]
