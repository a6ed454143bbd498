"""Task output: append files per attempt, read by offset."""

from hub.output.reading import OutputPiece
from hub.output.retention import OutputPurged
from hub.output.store import OutputStore

__all__ = ["OutputPiece", "OutputPurged", "OutputStore"]
