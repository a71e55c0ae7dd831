"""The schedules of the plant."""

from schedules.nightly import schedules_of

__all__ = ["schedules_of"]
