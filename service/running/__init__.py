"""A server as a process: its socket, its protocol, its end."""
