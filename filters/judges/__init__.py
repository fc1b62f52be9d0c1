"""Language models, and a stand-in for them, that score a sample from 0 to 10."""
