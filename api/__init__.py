"""The HTTP API: routes declare paths and schemas, `closingbell` answers."""
