"""The rules by which the plant runs: jobs and their times, the plan of a night, freshness, alerts; pure."""
