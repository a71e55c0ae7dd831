"""When the plant works by itself."""

from schedules.nightly import schedules_of

__all__ = ["schedules_of"]
