"""The HTTP API: routes declare paths and schemas and call `closingbell`."""
