"""Strict readers of exports for trainers without a package: what each loader does, by its documented contract.

They share no code with the exporters. Each returns the sets that an epoch holds and raises AssertionError where the
loader would fail, repair, replace or silently mistrain a row.
"""
