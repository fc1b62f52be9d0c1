"""The report of a build: one HTML page that needs nothing else."""
