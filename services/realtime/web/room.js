/** A session's room as this page sees it: the state, kept up to date, the server's clock, who is there and says what. */

import { ServerClock } from "./clock.js";
import { RoomSocket } from "./socket.js";
import { apply } from "./state.js";

/** The address of a session's socket at the gateway this page came from. */
function socketUrl(config, sessionId) {
  const url = new URL(config.socket_path.replace("{session_id}", encodeURIComponent(sessionId)), location.origin);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

const SAID_KEPT = 50;

export class Room {
  state = null;
  clock = new ServerClock();
  /** What team-mates said lately, the newest last: frames of type chat and emote. */
  said = [];
  #people = null;
  #more = 0;
  #socket;

  /**
   * `onChange(state, event)` is called after each change: `event` is null when the whole state came anew.
   * `onPresence()` when somebody has come or gone, `onSaid(frame)` when somebody says something, `onRefused(error)`
   * when something of ours was not taken, `onToken(leftMs)` when it is known how long the token will do. `onLink` tells
   * of the connection, as RoomSocket's does.
   */
  constructor(config, sessionId, token, { onChange, onPresence, onSaid, onRefused, onToken, onLink }) {
    this.sessionId = sessionId;
    this.#socket = new RoomSocket(socketUrl(config, sessionId), token, {
      onWelcome: ({ now, expires_at }) => {
        this.clock.reset();
        this.clock.learn(now);
        onToken(expires_at - now);
      },
      onRefreshed: ({ expires_at }) => onToken(expires_at - this.clock.now()),
      onSnapshot: ({ now, state }) => {
        this.clock.learn(now);
        this.state = state;
        onChange(state, null);
      },
      onEvent: (event) => {
        this.state = apply(this.state, event);
        onChange(this.state, event);
      },
      onTick: ({ at }) => this.clock.learn(at),
      onPong: ({ now }) => this.clock.learn(now),
      onPresence: ({ people, more }) => {
        this.#people = people;
        this.#more = more;
        onPresence();
      },
      onSaid: (frame) => {
        this.said = [...this.said, frame].slice(-SAID_KEPT);
        onSaid(frame);
      },
      onRefused,
      onLink,
    });
  }

  /** Is this player there? As long as nobody was told, everybody is. */
  isHere = (playerId) => this.#people === null || this.#people.some(({ subject }) => subject === playerId);

  /** How many look on without playing. */
  get watching() {
    return (this.#people ?? []).filter(({ role }) => role === "spectator").length + this.#more;
  }

  /** Say something to the team: a frame of type chat or emote. Returns whether there is a connection. */
  say = (frame) => this.#socket.say(frame);

  /** Go on with a newer token. */
  refresh(token) {
    this.#socket.refresh(token);
  }

  open() {
    this.#socket.open();
  }

  close() {
    this.#socket.close();
  }
}
