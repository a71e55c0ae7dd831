"""The asset graph: one thin file per table."""
