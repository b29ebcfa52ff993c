"""What others wrote as a bundle."""
