"""Scans leave their patients behind on the way into training sets: headers without names, by PS3.15's basic profile."""
