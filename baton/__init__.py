"""The command-line tool: `python -m baton up|migrate|demo`. It starts the services; it is not one of them."""
