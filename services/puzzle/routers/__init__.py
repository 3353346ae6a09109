"""① The HTTP interface."""
