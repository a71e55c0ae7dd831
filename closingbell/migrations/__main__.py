"""Write a migration: ``python -m closingbell.migrations "what changes"`` compares the models with the database."""

import argparse

from closingbell import runtime
from closingbell.repositories import schema

parser = argparse.ArgumentParser(prog="python -m closingbell.migrations", description="Write a migration.")
parser.add_argument("message", help="what changes, in a few words")
schema.add_revision(runtime.open_database(), parser.parse_args().message)
