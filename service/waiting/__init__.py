"""What waits for the engine: scans in a line of bounded length, their memory, their readers, what they leave behind."""
