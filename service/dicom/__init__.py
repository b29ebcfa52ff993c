"""DICOM over networks: nodes that are known, series that are fetched, results that are sent."""
