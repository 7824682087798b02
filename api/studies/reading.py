"""What the store reads for tables, taken apart: each distinct text once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ml.metrics.protocol import Score
from ml.studies.stored_score import StoredScore
from store import queries
from store.database.score_parts import SETTING


class Reading:
    """Specs and scores of one table. Equal texts become one object."""

    def __init__(self) -> None:
        self._specs: dict[str, Mapping[str, Any]] = {}
        self._settings: dict[str, Score] = {}

    def spec(self, text: str) -> Mapping[str, Any]:
        """A spec without its seed."""
        found = self._specs.get(text)
        if found is None:
            found = self._specs[text] = json.loads(text)
        return found

    def score(self, stored: queries.StoredScore) -> StoredScore:
        """A score. It was validated when it was stored, and is not validated again."""
        like = self._settings.get(stored.setting)
        if like is None:
            like = self._settings[stored.setting] = _setting(stored.setting)
        return StoredScore(like, stored.numbers)


def _setting(text: str) -> Score:
    values = zip(SETTING, json.loads(text), strict=True)
    known = {
        name: value
        for name, value in values
        # Scores from before a field was kept have its default.
        if value is not None or Score.model_fields[name].is_required()
    }
    return Score.model_validate({**known, "value": None, "seed": 0, "versions": {}})
