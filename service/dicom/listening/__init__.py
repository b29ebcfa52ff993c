"""Series that others send by C-STORE, on their way into jobs."""
