"""What makes an install: settings, the embedded database, shared parts, first rows."""
