"""A short version of the fuzzing campaigns (`make test-fuzz` runs them for long)."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import SLOW, TARGETS, campaign


@pytest.mark.parametrize("target", TARGETS)
def test_a_short_campaign_finds_nothing(target: str, tmp_path: Path) -> None:
    made = campaign(target, 1, 60, inputs=200, keep=tmp_path)
    assert not made.findings, "\n".join(made.findings[:3])
    assert made.inputs == 200 == made.accepted + made.refused and made.accepted
    assert made.slowest < SLOW
