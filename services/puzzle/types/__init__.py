"""Puzzle types: pure, seeded, versioned plug-ins. `base` is the contract, `registry` finds them."""
