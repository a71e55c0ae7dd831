"""The calculations: pure functions from arrays to arrays."""
