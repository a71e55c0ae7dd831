"""Write a migration from the differences between the tables of the code and the database.

Run ``python -m closingbell.install.new_migration "what changes"``.
"""

import argparse

from closingbell.install import runtime
from closingbell.repositories import schema

parser = argparse.ArgumentParser(prog="python -m closingbell.install.new_migration", description="Write a migration.")
parser.add_argument("message", help="what changes, in a few words")
schema.add_revision(runtime.open_database(), parser.parse_args().message)
