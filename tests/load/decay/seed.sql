-- Games in the middle of their play: a quarter each has four, three, two and one of its four players still in. In `falling`
-- of them the next player reached 0 within the five seconds before `now_ms`; in the others nothing is due for an hour.
-- Foreign keys are not checked meanwhile: the rows are of one making.
SET session_replication_role = replica;

CREATE TABLE public.games AS
SELECT n, gen_random_uuid() AS team_id, gen_random_uuid() AS session_id, 1 + n %% 4 AS still_in,
    %(now_ms)s - 500000 - floor(random() * 5000)::bigint AS started_at,
    CASE WHEN n <= %(falling)s THEN 100 ELSE 2000 END AS lowest
FROM generate_series(1, %(sessions)s) AS n ORDER BY random();

INSERT INTO points.teams (team_id, code, name, created_at) SELECT team_id, 'B' || n, 'Otters', started_at FROM public.games;

INSERT INTO points.sessions (session_id, team_id, status, rules, seed, created_at, starts_at, started_at, due_at, seq,
    settled_at, puzzle_version, awaited_version, sent_version)
SELECT session_id, team_id, 'active', CAST(%(rules)s AS jsonb), n, started_at - 9000, started_at, started_at,
    started_at + lowest * 5000, 1, started_at, 0, 0, 2
FROM public.games;

INSERT INTO points.seats (session_id, player_id, seat, name, colour, ready, base, zero_at, eliminated_at, solved, failed,
    expired, puzzle)
SELECT session_id, gen_random_uuid(), seat, 'Player ' || seat, '#e4572e', true, base, started_at + base * 5000,
    CASE WHEN seat >= still_in THEN started_at + base * 5000 END, 7, 2, 1,
    CASE WHEN seat < still_in THEN CAST(%(puzzle)s AS bytea) END
FROM public.games CROSS JOIN generate_series(0, 3) AS seat
CROSS JOIN LATERAL (SELECT CASE WHEN seat >= still_in THEN 50 WHEN seat = 0 THEN lowest ELSE 2000 + 10 * seat END) AS has (base);

INSERT INTO puzzle.sessions (session_id, team_id, status, puzzle_types, difficulty, seed, starts_at, points_version,
    version, last_at, dealt)
SELECT session_id, team_id, 'active', '{memory}', 2, n, started_at, 2, 0, started_at, 9 FROM public.games;

CREATE TABLE public.plain AS SELECT player_id, 15 AS points FROM points.seats;
ALTER TABLE public.plain ADD PRIMARY KEY (player_id);
