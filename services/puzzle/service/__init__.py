"""② The use cases of puzzles, each in one transaction."""
