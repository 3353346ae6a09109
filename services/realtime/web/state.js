/** The law of the protocol in the browser, as in contracts/replay.py: old state + numbered event = new state. */

/** The log does not fit the state: only a fresh snapshot helps. */
export class ReplayError extends Error {}

function change(state, playerId, changes) {
  if (!state.players.some((player) => player.player_id === playerId)) throw new ReplayError(`no player ${playerId}`);
  const players = state.players.map((player) =>
    player.player_id === playerId ? { ...player, ...changes(player) } : player,
  );
  return { ...state, players };
}

const set = (state, playerId, changes) => change(state, playerId, () => changes);

const repay = (state, data, playerId) => set(state, playerId, { base: data.base, zero_at: data.zero_at });

function counted(state, { player_id, closed, next }) {
  return change(state, player_id, (player) => ({ puzzle: next, [closed.verdict]: player[closed.verdict] + 1 }));
}

function joined(state, { player_id, seat, name, colour }) {
  const player = { player_id, seat, name, colour, ready: false, base: 0, zero_at: null, eliminated_at: null };
  const players = [...state.players, { ...player, solved: 0, failed: 0, expired: 0, puzzle: null }];
  return { ...state, players: players.sort((a, b) => a.seat - b.seat) };
}

const RULES = {
  "session.countdown": (state, { starts_at }) => ({ ...state, status: "countdown", starts_at }),
  "session.started": (state, { started_at, base, zero_at }) => ({
    ...state,
    status: "active",
    started_at,
    players: state.players.map((player) => ({ ...player, base, zero_at })),
  }),
  "session.finished": (state, { finished_at, survival_ms, reason }) => ({
    ...state,
    status: "finished",
    finished_at,
    survival_ms,
    end_reason: reason,
    players: state.players.map((player) => ({ ...player, puzzle: null })),
  }),
  "player.joined": joined,
  "player.ready": (state, { player_id, ready }) => set(state, player_id, { ready }),
  "player.left": (state, { player_id }) => ({
    ...state,
    players: state.players.filter((player) => player.player_id !== player_id),
  }),
  "player.eliminated": (state, { player_id, eliminated_at }) => set(state, player_id, { eliminated_at, puzzle: null }),
  "puzzle.assigned": (state, { player_id, puzzle }) => set(state, player_id, { puzzle }),
  "puzzle.solved": counted,
  "puzzle.failed": counted,
  "puzzle.expired": counted,
  "points.awarded": (state, data) => repay(state, data, data.to_player_id),
  "points.penalised": (state, data) => repay(state, data, data.player_id),
  "points.ticked": (state, { players }) =>
    players.reduce((before, ticked) => repay(before, ticked, ticked.player_id), state),
};

/** The state after one event; unknown types change nothing. Throws ReplayError where the event cannot follow. */
export function apply(state, event) {
  if (event.type === "session.created") return event.data.state;
  if (state === null) throw new ReplayError(`a log begins with session.created, not with ${event.type}`);
  return Object.hasOwn(RULES, event.type) ? RULES[event.type](state, event.data) : state;
}

/** A player's points at instant `t`: before the start what they will begin with, afterwards what they ended with. */
export function pointsAt(state, player, t) {
  const { rules, started_at: startedAt, finished_at: finishedAt } = state;
  if (startedAt === null || startedAt === undefined) return rules.start_points;
  const instant = Math.max(startedAt, finishedAt ? Math.min(t, finishedAt) : t);
  if (isOut(player) || (player.zero_at && instant >= player.zero_at)) return 0;
  return Math.max(0, player.base - rules.decay * Math.floor((instant - startedAt) / rules.interval_ms));
}

/** The same as a number that falls evenly instead of in steps, for bars. It is never more than one decay ahead. */
export function smoothPointsAt(state, player, t) {
  const { rules, started_at: startedAt } = state;
  const points = pointsAt(state, player, t);
  if (!startedAt || points === 0 || state.status !== "active") return points;
  const part = (Math.max(t, startedAt) - startedAt) % rules.interval_ms;
  return Math.max(0, points - (rules.decay * part) / rules.interval_ms);
}

export const isOut = (player) => player.eliminated_at !== null && player.eliminated_at !== undefined;

export const playerOf = (state, playerId) => state.players.find((player) => player.player_id === playerId) ?? null;

/** Who is given the points if this player solves now; null if nobody is. Players stand in the order of seats. */
export function receiverOf(state, playerId) {
  const place = state.players.findIndex((player) => player.player_id === playerId);
  if (place < 0) return null;
  const others = [...state.players.slice(place + 1), ...state.players.slice(0, place)];
  if (state.rules.award_target === "next_seat") return others[0] && !isOut(others[0]) ? others[0] : null;
  return others.find((player) => !isOut(player)) ?? null;
}
