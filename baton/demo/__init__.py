"""Bots that play a whole game over the public interface alone."""
