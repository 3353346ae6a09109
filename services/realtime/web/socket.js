/** The room's socket: `baton.v1` with resuming, so that its listener sees each event once and in order. */

const PROTOCOL = "baton.v1";
const BACKOFF_MS = 500;
const LONGEST_WAIT_MS = 20_000;
const QUIET_MS = 10_000;
const DEAD_MS = 25_000;
const MISSING_MS = 2_000;
/** A connection that lived this long was a success: the next failure is a first one again. */
const STABLE_MS = 5_000;
/** What a browser reports when nobody closed: the network is gone. Never sent by a server. */
const NO_CLOSE = 1006;

/** Does this close code mean "come back"? (docs/protocol.md, Closes) */
export const meansComeBack = (code) =>
  code === NO_CLOSE || code === 1012 || (code >= 3000 && code <= 3499) || (code >= 4000 && code <= 4499);

/**
 * `listener`: onWelcome(welcome), onSnapshot(snapshot), onEvent(event), onTick(tick), onPong(pong),
 * onRefreshed(refreshed), onPresence(presence), onSaid(frame) for what team-mates say, onRefused(error) for what was
 * not taken of ours, and onLink({phase, …}) with phase `connecting`, `open`, `waiting` (retryAt, in performance.now()
 * time) or `closed` (code, reason). What onEvent throws makes the socket come back for a fresh snapshot.
 */
export class RoomSocket {
  #url;
  #token;
  #listener;
  #socket = null;
  #seq = null;
  #epoch = null;
  #failures = 0;
  #heard = 0;
  #begun = 0;
  #missingSince = null;
  #timer = null;
  #watch = null;

  constructor(url, token, listener) {
    this.#url = url;
    this.#token = token;
    this.#listener = listener;
  }

  /** Connect, and stay connected until `close` or a close that means "stay away". */
  open() {
    this.#watch ??= setInterval(() => this.#check(), 1_000);
    addEventListener("online", this.#hurry);
    this.#connect();
  }

  close() {
    clearInterval(this.#watch);
    clearTimeout(this.#timer);
    removeEventListener("online", this.#hurry);
    this.#watch = null;
    this.#drop();
  }

  /** Send a frame, if there is a connection. Returns whether there was. */
  say(frame) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Go on with a newer token: on this connection and on all later ones. */
  refresh(token) {
    this.#token = token;
    this.say({ type: "refresh", token });
  }

  #hurry = () => {
    if (this.#socket === null && this.#watch !== null) this.#connect();
  };

  #connect() {
    clearTimeout(this.#timer);
    this.#listener.onLink({ phase: "connecting" });
    const socket = new WebSocket(this.#url, [PROTOCOL]);
    this.#socket = socket;
    this.#heard = this.#begun = performance.now();
    this.#missingSince = null;
    socket.onopen = () => {
      const join = { type: "join", token: this.#token };
      if (this.#seq !== null) Object.assign(join, { seq: this.#seq, epoch: this.#epoch });
      socket.send(JSON.stringify(join));
    };
    socket.onmessage = (message) => this.#receive(JSON.parse(message.data));
    socket.onclose = (event) => this.#closed(event);
  }

  /** Let go of the present connection without hearing of its end. */
  #drop() {
    if (this.#socket === null) return;
    const socket = this.#socket;
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #closed({ code, reason }) {
    this.#socket = null;
    if (meansComeBack(code)) {
      this.#comeBack();
    } else {
      this.close();
      this.#listener.onLink({ phase: "closed", code, reason });
    }
  }

  #comeBack() {
    this.#drop();
    const wait = Math.random() * Math.min(LONGEST_WAIT_MS, BACKOFF_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.#listener.onLink({ phase: "waiting", retryAt: performance.now() + wait });
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #receive(frame) {
    this.#heard = performance.now();
    if (typeof frame.data === "object" && Number.isInteger(frame.seq)) return this.#event(frame);
    switch (frame.type) {
      case "welcome":
        this.#epoch = frame.epoch;
        this.#listener.onWelcome(frame);
        if (frame.recovered) this.#listener.onLink({ phase: "open" });
        break;
      case "snapshot":
        this.#seq = frame.seq;
        this.#listener.onSnapshot(frame);
        this.#listener.onLink({ phase: "open" });
        break;
      case "tick":
        if (this.#seq !== null && frame.seq > this.#seq) this.#missingSince ??= performance.now();
        this.#listener.onTick(frame);
        break;
      case "pong":
        this.#listener.onPong(frame);
        break;
      case "refreshed":
        this.#listener.onRefreshed(frame);
        break;
      case "presence":
        this.#listener.onPresence(frame);
        break;
      case "chat":
      case "emote":
        this.#listener.onSaid(frame);
        break;
      case "error":
        this.#listener.onRefused(frame);
        break;
      default: // Kinds of a later version are none of ours.
    }
  }

  #event(event) {
    if (this.#seq === null || event.seq <= this.#seq) return;
    if (event.seq > this.#seq + 1) {
      this.#comeBack();
      return;
    }
    try {
      this.#listener.onEvent(event);
    } catch (error) {
      console.error("an event did not fit; asking for a snapshot", error);
      this.#seq = null;
      this.#comeBack();
      return;
    }
    this.#seq = event.seq;
    this.#missingSince = null;
  }

  /** Once a second: is the connection alive, and did what the ticks speak of arrive? */
  #check() {
    if (this.#socket === null) return;
    const now = performance.now();
    if (this.#socket.readyState === WebSocket.OPEN && now - this.#begun > STABLE_MS) this.#failures = 0;
    if (now - this.#heard > DEAD_MS || (this.#missingSince !== null && now - this.#missingSince > MISSING_MS)) {
      this.#comeBack();
    } else if (now - this.#heard > QUIET_MS) {
      this.say({ type: "ping", id: 1 });
    }
  }
}
