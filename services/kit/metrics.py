"""Every metric name of Baton. One process is scraped at one port."""

from prometheus_client import Counter, Gauge, Histogram

task_restarts = Counter("baton_task_restarts", "Background tasks that ended and were started again", ["task"])

outbox_sent = Counter("baton_outbox_sent", "Events sent to a stream, first sends and re-sends", ["stream"])
outbox_resent = Counter("baton_outbox_resent", "Events sent again because no confirmation had come", ["stream"])
outbox_confirmed = Counter("baton_outbox_confirmed", "Events whose consumer has confirmed them", ["stream"])
outbox_send_failures = Counter("baton_outbox_send_failures", "Sends that Valkey did not take", ["stream"])
outbox_lag = Gauge(
    "baton_outbox_lag_seconds", "Age of the oldest event that its consumer has not confirmed", ["stream"]
)

consumed = Counter("baton_consumed", "Stream entries that took effect", ["stream"])
consumed_duplicates = Counter("baton_consumed_duplicates", "Stream entries that had taken effect before", ["stream"])
consumed_early = Counter("baton_consumed_early", "Stream entries that came before their predecessor", ["stream"])
consume_failures = Counter("baton_consume_failures", "Failed tries to apply a stream entry", ["stream"])
dead_letters = Counter("baton_dead_letters", "Events given up after bounded tries", ["stream"])
dead_letters_kept = Gauge("baton_dead_letters_kept", "Events given up and not retried yet", ["schema"])

rooms_told = Counter("baton_rooms_told", "Calls of the room script that the room took")
room_gaps = Counter("baton_room_gaps", "Rooms that were behind and were sent the whole range")
room_rebuilds = Counter("baton_room_rebuilds", "Rooms rebuilt from Postgres on a gateway's request")
room_failures = Counter("baton_room_failures", "Calls of the room script that failed")

sessions_settled = Counter("baton_sessions_settled", "Sessions settled by the worker")
settle_failures = Counter("baton_settle_failures", "Failed tries to settle a session by itself")
settle_lag = Gauge("baton_settle_lag_seconds", "Age of the oldest start, elimination or end that is due")
awaited_lag = Gauge("baton_awaited_lag_seconds", "Age of the oldest that is due and waits for an answer to be applied")
sessions_unfinished = Gauge("baton_sessions_unfinished", "Sessions in the lobby, in the countdown, or being played")
eliminations = Counter("baton_eliminations", "Players eliminated")
awards = Counter("baton_awards", "Solved puzzles by what they paid", ["outcome"])
answers = Counter("baton_answers", "Answers by type of puzzle and verdict", ["type", "verdict"])
puzzles_expired = Counter("baton_puzzles_expired", "Puzzles closed at their deadline")

replays = Counter("baton_replays", "Finished games re-created from their logs, by outcome", ["outcome"])
replays_differing = Gauge("baton_replays_differing", "Finished games whose replay differs from what is stored")
archived = Counter("baton_archived", "Finished games moved to the archive")
archive_lag = Gauge("baton_archive_lag_seconds", "Since when the earliest game should be archived that is not")
forgotten = Counter("baton_forgotten", "What was kept long enough and deleted", ["what"])
replay_lag = Gauge("baton_replay_lag_seconds", "Age of the earliest end of a game that was not replayed yet")

connections = Gauge("baton_connections", "Open connections of clients", ["transport"])
rooms_open = Gauge("baton_rooms_open", "Rooms with at least one socket in this gateway")
deliveries = Counter("baton_deliveries", "Frames handed to sockets")
recoveries = Counter("baton_recoveries", "Joins by how the client was brought up to date", ["how"])
room_reads = Counter("baton_room_reads", "Reads of a room's state and log from Valkey")
gaps_repaired = Counter("baton_gaps_repaired", "Gaps in a room's sequence that a gateway repaired")
closes = Counter("baton_closes", "Sockets closed by the gateway, by reason", ["reason"])
refused_handshakes = Counter("baton_refused_handshakes", "Sockets refused before the upgrade, by reason", ["reason"])
refused_requests = Counter(
    "baton_refused_requests", "HTTP requests refused before the application, by status", ["status"]
)
paused_connections = Gauge("baton_paused_connections", "Clients that do not take what was written to them")
coalesced_writes = Counter("baton_coalesced_writes", "Writes of all that had waited for a slow client at once")
probe_seconds = Histogram(
    "baton_probe_seconds",
    "From publishing a probe to hearing it: how late a gateway hears of a room",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
presence_reports = Counter("baton_presence_reports", "Calls of the presence script, one a room")
said = Counter("baton_said", "What players said to their team-mates, by kind", ["kind"])
unpublished = Counter("baton_unpublished", "What players said and nobody heard, as Valkey did not take it in time")
rate_limited = Counter("baton_rate_limited", "Frames of clients beyond their rate, by kind", ["kind"])
socket_answers = Counter("baton_socket_answers", "Answers to puzzles that came over sockets, by status", ["status"])
dropped_ephemeral = Counter("baton_dropped_ephemeral", "Ephemeral messages not sent to slow clients")

http_seconds = Histogram(
    "baton_http_seconds",
    "Duration of HTTP requests",
    ["service", "method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
