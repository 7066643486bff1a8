"""What an operator sees of running processes: log lines and metrics."""
