"""What the store reads for tables, taken apart: each distinct text once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ml.metrics.protocol import Score
from ml.studies.stored_score import StoredScore, StoredScores
from store import queries
from store.database.score_parts import SETTING


class Reading:
    """Specs and scores of one table. Equal texts become one object."""

    def __init__(self) -> None:
        self._specs: dict[str, Mapping[str, Any]] = {}
        self._settings: dict[str, Score] = {}
        self._several: dict[str, tuple[Score, ...]] = {}

    def spec(self, text: str) -> Mapping[str, Any]:
        """A spec without its seed."""
        found = self._specs.get(text)
        if found is None:
            found = self._specs[text] = json.loads(text)
        return found

    def scores(self, stored: queries.StoredScores | None) -> Sequence[StoredScore]:
        """The scores of an evaluation, as `score` gives each."""
        if stored is None:
            return ()
        alike = self._several.get(stored.settings)
        if alike is None:
            lines = stored.settings.split("\n")
            alike = self._several[stored.settings] = tuple(self._like(line) for line in lines)
        return StoredScores(alike, stored.numbers)

    def score(self, stored: queries.StoredScore) -> StoredScore:
        """A score. It was validated when it was stored, and is not validated again."""
        return StoredScore(self._like(stored.setting), stored.numbers)

    def _like(self, setting: str) -> Score:
        found = self._settings.get(setting)
        if found is None:
            found = self._settings[setting] = _setting(setting)
        return found


def _setting(text: str) -> Score:
    values = zip(SETTING, json.loads(text), strict=True)
    known = {
        name: value
        for name, value in values
        # Scores from before a field was kept have its default.
        if value is not None or Score.model_fields[name].is_required()
    }
    return Score.model_validate({**known, "value": None, "seed": 0, "versions": {}})
