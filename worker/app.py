"""The Celery application: `celery -A worker.app worker` and `celery -A worker.app beat`.

Beat asks for tasks by their names, and needs to load nothing of what they do: a worker alone imports them.
"""

import gc
import importlib
import logging
from typing import Any

from celery import Celery
from celery.signals import celeryd_init, setup_logging
from kombu.transport import redis as transport

from services.kit import logs
from services.kit.settings import load
from worker import pulse
from worker.schedule import SCHEDULE
from worker.settings import WorkerSettings

GARBAGE_AFTER = 50_000
"""New objects after which the youngest are looked through: more than a batch makes."""

settings = load(WorkerSettings)

# A task that is lost with its worker is not missed: beat asks for every one again. So nothing is kept for it in the
# broker and nothing given back: kombu would do both over a connection that it has just closed, when the broker has
# gone away, and the worker's process ends by it.
transport.Channel.do_restore = False

app = Celery("baton", broker=settings.broker)
app.conf.update(
    beat_schedule=SCHEDULE,
    beat_scheduler="worker.beat:Scheduler",
    timezone="UTC",
    task_ignore_result=True,
    # A worker takes no task before it has done the one in hand: others may be idle.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_time_limit=30,
    worker_max_tasks_per_child=5_000,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "ack_emulation": False,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "health_check_interval": 10,
    },
)

if settings.pulse_file is not None:
    pulse.keep(settings.pulse_file)


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure(settings, "worker")
    # A line for each of ten tasks a second would be most of the log.
    for name in ("celery.app.trace", "celery.worker.strategy", "celery.worker.request"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery.beat").addFilter(lambda record: "Sending due task" not in str(record.msg))


@celeryd_init.connect
def load_tasks(**_: Any) -> None:
    """Import the tasks. What is imported stays: no garbage is looked for in it, here or in the processes forked off,
    which share it; and seldom in what a batch makes, which holds itself in no circles.
    """
    gc.disable()
    importlib.import_module("worker.tasks")
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)
    gc.enable()
