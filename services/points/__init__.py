"""The points service: teams, players, sessions, the ledger, and the order of everything that clients see."""
