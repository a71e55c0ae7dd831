"""Write a migration: ``python -m closingbell.migrations "what changes"`` compares the models with the database."""

import sys

from closingbell import runtime
from closingbell.repositories import schema

schema.add_revision(runtime.open_database(), sys.argv[1])
