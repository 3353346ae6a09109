"""The puzzle service: deals puzzles, judges answers, and tells the points service what happened."""
