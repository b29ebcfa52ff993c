"""A bundle as others read it."""
