"""All SQL of the points service, a concept a file."""
