"""What users and operators read: queries over stored rows, owner-scoped or about the plant."""
