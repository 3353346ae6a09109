"""Tools that know nothing of the game: database, outbox, streams, rooms, tokens, health, settings."""
