"""The plugin that checks the shapes in signatures of `ml`."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from ml.codes.rows import Rows
from ml.metrics.information.mig import gaps
from ml.metrics.prediction.sap import squared_correlations
from ml.objectives.terms.covariance import covariance


def test_an_argument_of_another_shape_than_the_signature_says_is_an_error() -> None:
    with pytest.raises(TypeCheckError, match="factor_entropies"):
        gaps(np.ones((3, 2)), np.ones(3))


def test_arguments_that_differ_in_an_axis_of_one_name_are_an_error() -> None:
    with pytest.raises(TypeCheckError, match="samples=5"):
        squared_correlations(np.ones((5, 3)), np.ones((4, 2)))


def test_a_result_of_another_shape_than_the_signature_says_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "ml.metrics.information.mig.best_and_second", lambda mutual: (mutual, mutual)
    )
    with pytest.raises(TypeCheckError, match="return value"):
        gaps(np.ones((3, 2)), np.ones(2))


def test_fields_of_another_shape_than_declared_are_an_error() -> None:
    with pytest.raises(TypeCheckError, match="factors"):
        Rows(np.ones((5, 3)), np.ones((4, 2)), ("a", "b"), ("discrete", "discrete"), 3)


def test_under_vmap_the_shapes_are_those_of_a_single_model() -> None:
    places = torch.ones(7, 5, 3)
    assert torch.func.vmap(covariance)(places).shape == (7, 3, 3)
    with pytest.raises(TypeCheckError, match="rows"):
        covariance(places)
