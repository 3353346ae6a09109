"""Alembic's entry; what it does is the same for every service."""

from services.kit.migrate import run_environment
from services.points.standing_models import Tally

# All tables of the service are in the one collection, once the last of its modules is imported.
run_environment(Tally.metadata)
