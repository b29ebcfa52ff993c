"""The formats that a bundle can be written in."""

from __future__ import annotations

from typing import Literal

ExportFormat = Literal["bundle", "monai-bundle", "onnx"]
