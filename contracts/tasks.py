"""Names of the worker's tasks, for those who ask for one by name."""

END_COUNTDOWNS = "baton.end_countdowns"
SETTLE = "baton.settle"
TELL_ROOMS = "baton.tell_rooms"
EXPIRE_PUZZLES = "baton.expire_puzzles"
SWEEP = "baton.sweep"
CLOSE_ABANDONED = "baton.close_abandoned"
FORGET_OLD = "baton.forget_old"
