"""The rules by which the plant runs: jobs and their times, what a night has to do, when to alert; pure."""
