"""The entries of portfolios, and how files and forms become entries. Pure functions."""
