"""`python -m baton`."""

from baton.cli import app

if __name__ == "__main__":
    app()
