"""The manual review queue: items out, human verdicts in."""
