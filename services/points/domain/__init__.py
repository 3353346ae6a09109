"""The rules of the game. Pure: no I/O, and the time is an argument."""
