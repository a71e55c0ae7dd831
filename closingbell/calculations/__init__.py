"""The mathematics: pure functions from arrays to arrays."""
