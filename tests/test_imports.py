"""What a start imports: heavy libraries only where something needs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCORE = """
from heddle.cli.main import main
import sys
sys.argv = ["heddle", "score", {file!r}, "--metrics", "mig"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
DRAWING = {"matplotlib", "umap", "python_avatars", "resvg_py"}
PREDICTING = {"sklearn", "numba"}
FILES = {"pandas", "h5py"}
SERVING = {"fastapi", "celery", "sqlalchemy", "alembic"}


def imported(code: str) -> set[str]:
    """The modules that a fresh Python has imported after this code."""
    code += "\nimport sys\nprint('\\nmodules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("\nmodules ")[2].split())


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import heddle.cli.main", {"torch", "numpy", "scipy", "ml", "pydantic"} | SERVING),
        ("import ml", {"torch", "numpy", "pydantic"}),
        ("import heddle.local.scoring", {"torch", "scipy.stats"} | DRAWING | PREDICTING | FILES),
        ("import api.main", {"scipy.stats", "alembic"} | DRAWING | PREDICTING | FILES),
        ("import worker.app", {"torch", "ml", "alembic"}),
        (
            "import worker.training, worker.evaluation",
            {"scipy.stats", "alembic"} | DRAWING | PREDICTING | FILES,
        ),
    ],
)
def test_a_start_imports_no_library_that_only_some_work_needs(
    code: str, unwanted: set[str]
) -> None:
    assert imported(code) & unwanted == set()


def test_scores_by_counting_import_no_library_that_they_do_not_need(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    file = tmp_path / "small.npz"
    factors = random.integers(0, 3, (200, 2))
    np.savez(file, codes=factors + random.normal(size=(200, 2)), factors=factors)
    found = imported(SCORE.format(file=str(file)))
    assert "ml.metrics.information.mig" in found
    unwanted = {"torch", "scipy.stats", "sklearn"} | DRAWING | FILES | SERVING
    assert found & unwanted == set()
