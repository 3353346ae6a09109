"""HTTP in. A router checks who may, calls one use case, and returns what it gave."""
