"""Demo publishers: a small, deterministic imitation of what three publishers and a web server put out."""
