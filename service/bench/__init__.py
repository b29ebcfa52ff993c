"""``skipseg bench``: what is fast, by how much, and against whom, measured in one run."""
