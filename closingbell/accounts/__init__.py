"""What users change: they upload, edit, value and delete their portfolios. Every command belongs to one owner."""

from closingbell.accounts.portfolios import OwnPortfolios
from closingbell.accounts.positions import OwnPosition
from closingbell.accounts.uploading import Upload, Uploaded, UploadForm, read_upload

__all__ = ["OwnPortfolios", "OwnPosition", "Upload", "UploadForm", "Uploaded", "read_upload"]
