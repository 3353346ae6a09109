"""The colours puzzles speak of, easy to tell apart and to name. The order is part of the puzzles: append only."""

PALETTE = ("red", "blue", "yellow", "green", "purple", "orange", "black", "white")
