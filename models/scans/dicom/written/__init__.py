"""What answers a DICOM series, as DICOM: segmentations, measurement reports, contours."""
