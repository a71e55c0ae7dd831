"""The `closingbell` command line."""
