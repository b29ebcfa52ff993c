"""A training that was ordered over the API: what is asked, a child process that does it, and what comes of it."""
