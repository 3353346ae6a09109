"""The colours puzzles speak of, easy to tell apart and to name.

They and their order are part of the puzzles: to change them takes a new version of the types that use them.
"""

PALETTE = ("red", "blue", "yellow", "green", "purple", "orange", "black", "white")
