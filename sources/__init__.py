"""Other people's records turned into our samples."""
