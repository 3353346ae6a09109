/** A session's room as this page sees it: the state, kept up to date, and the server's clock. */

import { ServerClock } from "./clock.js";
import { RoomSocket } from "./socket.js";
import { apply } from "./state.js";

/** The address of a session's socket at the gateway this page came from. */
function socketUrl(config, sessionId) {
  const url = new URL(config.socket_path.replace("{session_id}", encodeURIComponent(sessionId)), location.origin);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

export class Room {
  state = null;
  clock = new ServerClock();
  #socket;

  /**
   * `onChange(state, event)` is called after each change: `event` is null when the whole state came anew.
   * `onLink` tells of the connection, as RoomSocket's does.
   */
  constructor(config, sessionId, token, { onChange, onLink }) {
    this.sessionId = sessionId;
    this.#socket = new RoomSocket(socketUrl(config, sessionId), token, {
      onWelcome: ({ now }) => {
        this.clock.reset();
        this.clock.learn(now);
      },
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
      onLink,
    });
  }

  open() {
    this.#socket.open();
  }

  close() {
    this.#socket.close();
  }
}
