"""The HTTP API: routes declare, `closingbell` answers."""
