"""Mixtures in the formats that trainers load."""
