/** Baton's HTTP API. Writes carry an Idempotency-Key and are repeated with it, so a lost answer costs nothing. */

const TRIES = 6;
const TIMEOUT_MS = 10_000;
const BACKOFF_MS = 300;
const LONGEST_WAIT_MS = 3_000;
/** Statuses that say nothing about the request itself: try again. */
const PASSING = new Set([429, 502, 503, 504]);

/** A refusal: the problem document's `code`, its text, and whatever else it carries in `more`. */
export class Problem extends Error {
  constructor(status, document) {
    super(document.detail ?? document.title ?? `The server answered ${status}.`);
    this.status = status;
    this.code = document.code ?? `http_${status}`;
    this.more = document;
  }
}

/** No answer at all, however often asked. What was asked may or may not have happened. */
export class Unreachable extends Error {}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** 128 random bits in hex. (`crypto.randomUUID` exists on https and localhost only; games are played in LANs too.) */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function documentOf(response) {
  try {
    return (await response.json()) ?? {};
  } catch {
    return {}; // A proxy's own error page, or an empty body.
  }
}

async function send(url, options) {
  for (let attempt = 0; ; attempt++) {
    let wait = Math.random() * Math.min(LONGEST_WAIT_MS, BACKOFF_MS * 2 ** attempt);
    try {
      const response = await fetch(url, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
      if (response.ok) return response.status === 204 ? null : await response.json();
      const problem = new Problem(response.status, await documentOf(response));
      if (!PASSING.has(response.status) || attempt + 1 === TRIES) throw problem;
      const told = Number(response.headers.get("Retry-After"));
      if (told > 0) wait = Math.min(told * 1000, LONGEST_WAIT_MS) * (0.5 + Math.random());
    } catch (error) {
      if (error instanceof Problem) throw error;
      if (attempt + 1 === TRIES) throw new Unreachable("The server cannot be reached.", { cause: error });
    }
    await pause(wait);
  }
}

/** Where everything is: the gateway's own answer, from the page's own origin. */
export const readConfig = () => send("/config", {});

export function createApi(config) {
  const bases = { points: config.points_url, puzzle: config.puzzle_url };

  function call(service, method, path, { token, body } = {}) {
    const headers = {};
    if (token) headers.Authorization = `Bearer ${token}`;
    if (method !== "GET") headers["Idempotency-Key"] = newKey();
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const options = { method, headers, credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer" };
    if (body !== undefined) options.body = JSON.stringify(body);
    return send(bases[service].replace(/\/$/, "") + path, options);
  }

  const points = (...rest) => call("points", ...rest);
  const at = encodeURIComponent;
  return {
    createTeam: (name) => points("POST", "/teams", { body: { name } }),
    joinTeam: (code, player) => points("POST", `/teams/${at(code)}/players`, { body: player }),
    watchTeam: (code) => points("POST", `/teams/${at(code)}/spectators`, { body: {} }),
    refreshToken: (token) => points("POST", "/tokens/refresh", { token }),
    readTeam: (id, token) => points("GET", `/teams/${at(id)}`, { token }),
    leaveTeam: (id, playerId, token) => points("DELETE", `/teams/${at(id)}/players/${at(playerId)}`, { token }),
    createSession: (token, rules) => points("POST", "/sessions", { token, body: { rules } }),
    setReady: (id, token, ready) => points("POST", `/sessions/${at(id)}/ready`, { token, body: { ready } }),
    startSession: (id, token) => points("POST", `/sessions/${at(id)}/start`, { token, body: {} }),
    endSession: (id, token) => points("POST", `/sessions/${at(id)}/end`, { token, body: {} }),
    readResults: (id, token) => points("GET", `/sessions/${at(id)}/results`, { token }),
    answer: (puzzleId, token, answer) =>
      call("puzzle", "POST", `/puzzles/${at(puzzleId)}/answer`, { token, body: { answer } }),
  };
}
