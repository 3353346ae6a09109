-- The floor of bench-answers, for pgbench: what an answer makes the database do at the least, in two transactions.
-- (puzzle) lock the session, look at the puzzle, close it, deal the next, leave the event in the outbox
-- (points) lock the session, read the seats, write session, seats, two events, the ledger and the room to be told; confirm
\set number random(1, :sessions)
\set seat random(0, 3)
BEGIN;
SELECT session_id, team_id, status, puzzle_types, difficulty, seed, points_version, version, last_at, dealt
  FROM puzzle.sessions WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid FOR UPDATE;
SELECT puzzles.*, players.eliminated_at, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now
  FROM puzzle.puzzles JOIN puzzle.players USING (session_id, player_id)
  WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid AND player_id = lpad(to_hex(:number::bigint * 4 + :seat), 32, '0')::uuid
    AND status = 'open' \gset
WITH closing AS (
  UPDATE puzzle.puzzles SET status = 'solved', closed_at = :now::bigint, answer = '{"colour": "red"}'
    WHERE puzzle_id = :puzzle_id::uuid RETURNING session_id, player_id
), dealing AS (
  INSERT INTO puzzle.puzzles (puzzle_id, session_id, player_id, type, type_version, difficulty, seed, view, hidden, status,
                              opened_at, deadline)
  SELECT gen_random_uuid(), session_id, player_id, 'memory', 1, 1, 1, :view::jsonb, :hidden::jsonb, 'open', :now::bigint, :now::bigint + 16000 FROM closing
), session AS (
  UPDATE puzzle.sessions SET version = version + 1, last_at = :now::bigint, dealt = dealt + 1
    WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid RETURNING session_id, version
)
INSERT INTO puzzle.outbox (event_id, session_id, version, stream, payload, created_at, next_try_at, tries)
  SELECT gen_random_uuid(), session_id, version, 'puzzle events', convert_to(repeat('x', 900), 'UTF8'), :now::bigint,
         :now::bigint + 2000, 0 FROM session RETURNING event_id, version \gset
COMMIT;
BEGIN;
SELECT sessions.*, teams.name, (SELECT epoch FROM points.epoch) FROM points.sessions JOIN points.teams USING (team_id)
  WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid FOR UPDATE OF sessions;
SELECT * FROM points.seats WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid ORDER BY seat;
WITH session AS (
  UPDATE points.sessions SET due_at = :now::bigint + 100000, seq = seq + 2, settled_at = :now::bigint, puzzle_version = puzzle_version + 1
    WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid RETURNING session_id, seq
), solver AS (
  UPDATE points.seats SET solved = solved + 1, puzzle = convert_to(repeat('x', 250), 'UTF8')
    WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid AND seat = :seat::int
), receiver AS (
  UPDATE points.seats SET base = base + 5, zero_at = :now::bigint + 100000
    WHERE session_id = lpad(to_hex(:number::bigint), 32, '0')::uuid AND seat = (:seat::int + 1) % 4
), solved AS (
  INSERT INTO points.session_events (session_id, seq, type, at, frame)
    SELECT session_id, seq - 1, 'puzzle.solved', :now::bigint, convert_to(repeat('x', 800), 'UTF8') FROM session
), awarded AS (
  INSERT INTO points.session_events (session_id, seq, type, at, frame)
    SELECT session_id, seq, 'points.awarded', :now::bigint, convert_to(repeat('x', 300), 'UTF8') FROM session
), entry AS (
  INSERT INTO points.ledger (session_id, key, at, kind, amount, base, player_id, from_player_id, puzzle_id)
    SELECT session_id, 'solve:' || session_id || ':' || :puzzle_id, :now::bigint, 'award', 5, 20, gen_random_uuid(),
           gen_random_uuid(), :puzzle_id::uuid FROM session
)
INSERT INTO points.untold_rooms (session_id, seq, next_try_at) SELECT session_id, seq, :now::bigint + 1000 FROM session
  ON CONFLICT (session_id) DO UPDATE SET seq = excluded.seq;
DELETE FROM puzzle.outbox WHERE event_id = :event_id::uuid;
COMMIT;
