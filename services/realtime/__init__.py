"""The gateway: sockets of a room's clients, and nothing of the game. It reads rooms from Valkey, and has no database."""
