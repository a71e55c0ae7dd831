"""What a user reads: queries over materialized rows."""
