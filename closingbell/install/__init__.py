"""An install: its settings, embedded database, shared objects and first rows."""
