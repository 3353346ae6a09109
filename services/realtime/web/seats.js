/** Who this tab is, by team. In sessionStorage, so that four tabs of one browser are four players. */

const PREFIX = "baton:seat:";

/**
 * A seat: `{code, team_id, team_name, token, player_id | null, host_token | null, session_id | null, name}`.
 * Tokens live here alone: never in an address, which ends in histories and logs.
 */
export function loadSeat(code) {
  const text = sessionStorage.getItem(PREFIX + code);
  return text === null ? null : JSON.parse(text);
}

export const saveSeat = (seat) => sessionStorage.setItem(PREFIX + seat.code, JSON.stringify(seat));

export const dropSeat = (code) => sessionStorage.removeItem(PREFIX + code);

/** The team's code in the page's address, or "". */
export const codeInAddress = () => (new URLSearchParams(location.search).get("team") ?? "").trim().toUpperCase();

/** The link for others. It carries the code and nothing else. */
export function inviteLink(code) {
  const link = new URL(location.pathname, location.href);
  link.searchParams.set("team", code);
  return link.href;
}

/** Put the team's code into the address, or take it out with "". */
export const showCode = (code) => history.replaceState(null, "", code ? inviteLink(code) : location.pathname);
