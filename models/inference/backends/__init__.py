"""A network made ready on a device for tiles of one shape; `choice.py` picks how."""
