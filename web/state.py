"""What the API and the pages work with."""

from worker.why import State

__all__ = ["State"]
