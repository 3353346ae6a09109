"""The service's outbox and its dead letters."""

from contracts.channels import POINTS_EVENTS
from services.kit.dead_letters import DeadLetters
from services.kit.outbox import Outbox
from services.points import models

outbox = Outbox(models.Outbox, POINTS_EVENTS)
dead_letters = DeadLetters(models.DeadLetter)
