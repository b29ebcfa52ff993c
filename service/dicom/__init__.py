"""DICOM over the network, and what is kept of it."""
