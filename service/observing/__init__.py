"""What is known of every request and of the server: ids, stages, log lines, counters, traces."""
