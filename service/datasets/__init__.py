"""Datasets that a server keeps for retraining: filled by zips and case by case, with a trail of who changed what."""
