"""What users do with their portfolios: upload, look, correct; and how far the plant is with what they asked for."""

from closingbell.accounts.positions import DataStatus, OwnPosition, Position, list_positions
from closingbell.accounts.progress import Progress, State, calculate, progress, require
from closingbell.accounts.uploading import Uploaded, Uploader, upload
from closingbell.errors import ConflictError, NotFoundError

__all__ = [
    "ConflictError",
    "DataStatus",
    "NotFoundError",
    "OwnPosition",
    "Position",
    "Progress",
    "State",
    "Uploaded",
    "Uploader",
    "calculate",
    "list_positions",
    "progress",
    "require",
    "upload",
]
