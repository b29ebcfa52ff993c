"""Bundles on their way in and out."""
