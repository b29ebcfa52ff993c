"""What stands before every request: how large it may be, which host it is meant for, room on the disk, headers."""
