"""DICOM series to volumes, and what answers them."""
