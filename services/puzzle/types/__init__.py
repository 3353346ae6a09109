"""Puzzle types: pure, seeded, versioned plug-ins. `base` is the contract, `registry` finds the installed ones."""
