"""The use cases, one concept a file. Each is given an open transaction and leaves committing to its caller."""
