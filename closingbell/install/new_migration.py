"""Write a migration: ``python -m closingbell.install.new_migration "what changes"`` compares tables and database."""

import argparse

from closingbell.install import runtime
from closingbell.repositories import schema

parser = argparse.ArgumentParser(prog="python -m closingbell.install.new_migration", description="Write a migration.")
parser.add_argument("message", help="what changes, in a few words")
schema.add_revision(runtime.open_database(), parser.parse_args().message)
