"""`python -m services points`: runs one service, puzzle, points or realtime."""

import argparse
import gc
import importlib

SERVICES = ("puzzle", "points", "realtime")


def main() -> None:
    """Run the service that is named until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m services")
    parser.add_argument("service", choices=SERVICES)
    name = parser.parse_args().service
    # What is imported stays for as long as the process lives: to look for garbage in it is a seventh of the start.
    gc.disable()
    service = importlib.import_module(f"services.{name}.main")
    gc.freeze()
    gc.enable()
    service.main()


if __name__ == "__main__":
    main()
