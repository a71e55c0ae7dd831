"""The two ways in which the plant can run."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Which nightly jobs an install has, and when it onboards new symbols; the API shows the value."""

    INSTANT = "v2_instant"
    """Two nightly jobs; new symbols are onboarded within seconds."""

    COMBINED = "v1_batch"
    """One combined nightly batch, which also onboards new symbols."""

    @property
    def flag(self) -> str:
        """Return the value of BATCH_V2_ENABLED that chooses this mode."""
        return str(self is Mode.INSTANT).lower()

    @property
    def other(self) -> Mode:
        """Return the other mode."""
        return Mode.COMBINED if self is Mode.INSTANT else Mode.INSTANT
