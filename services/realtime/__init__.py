"""The gateway: the sockets of a room's clients. It has no rule of the game, no database; it reads rooms from Valkey."""
