/** Spatial: take the square to the goal through the moving gaps of the walls, by dragging or with the arrow keys. */

import { eachFrame, h, say } from "../dom.js";
import { drawField, readShades } from "./field.js";
import { Walk } from "./walk.js";

export const title = "Spatial";
export const task = "Drag the square to the goal, through the gaps. Arrow keys work too.";

const KEYS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  a: [-1, 0],
  d: [1, 0],
  w: [0, -1],
  s: [0, 1],
};
/** Farther than a frame's way, so that holding a key is full speed. */
const AHEAD = 200;
const PAUSE_MS = 700;
/** A page in the background is not drawn; the attempt stands still meanwhile instead of running on blindly. */
const LONGEST_FRAME_MS = 100;
/** Frames nearer than this are taken together, since whole units of way need some milliseconds. */
const SHORTEST_FRAME_MS = 8;

const keyOf = ({ key }) => (key.length === 1 ? key.toLowerCase() : key);

export function mount(element, puzzle, submit) {
  const { view } = puzzle;
  const { width, height } = view.field;
  const canvas = h("canvas", {
    width,
    height,
    tabindex: 0,
    role: "application",
    class: "field-canvas",
    "aria-label": "The field. Move the square with the arrow keys to the goal at the right.",
    style: { "aspect-ratio": `${width} / ${height}` },
  });
  const note = h("p", { class: "note", "aria-live": "polite" });
  element.replaceChildren(canvas, note);
  canvas.focus({ preventScroll: true });
  const [pen, shades] = [canvas.getContext("2d"), readShades(canvas)];

  let [walk, t, before] = [new Walk(view), 0, performance.now()];
  let pausedUntil = 0;
  let done = false;
  let pointer = null;
  const held = new Set();

  const restart = (why) => {
    say(note, why);
    pausedUntil = performance.now() + PAUSE_MS;
  };
  const toField = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
  };
  /** Where the square should go: to the pointer, else some way into the direction of the keys; null stays. */
  const aim = () => {
    if (pointer !== null) return pointer;
    const [dx, dy] = [...held].reduce(([x, y], key) => [x + KEYS[key][0], y + KEYS[key][1]], [0, 0]);
    const [, x, y] = walk.here;
    return dx === 0 && dy === 0 ? null : [x + dx * AHEAD, y + dy * AHEAD];
  };

  const arrive = async () => {
    done = true;
    say(note, "There! Sending the way you took …");
    if (await submit(walk.answer())) return;
    done = false;
    restart("Try it once more.");
  };
  const outcome = {
    moving: () => {},
    arrived: arrive,
    crushed: () => restart("A wall caught the square: back to the start."),
    late: () => restart("This attempt took too long: back to the start."),
  };

  const stop = eachFrame(() => {
    const now = performance.now();
    const passed = Math.floor(now - before);
    if (passed < SHORTEST_FRAME_MS) return;
    before += passed;
    if (pausedUntil > 0 && now >= pausedUntil) {
      [walk, t, pausedUntil] = [new Walk(view), 0, 0];
    }
    if (!done && pausedUntil === 0) {
      t += Math.min(passed, LONGEST_FRAME_MS);
      outcome[walk.step(t, aim())]();
    }
    drawField(pen, shades, view, t, walk.here, pausedUntil > 0);
  });

  const listen = {
    pointerdown: (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointer = toField(event);
    },
    pointermove: (event) => {
      if (pointer !== null) pointer = toField(event);
    },
    pointerup: () => (pointer = null),
    pointercancel: () => (pointer = null),
    keydown: (event) => {
      const key = keyOf(event);
      if (!Object.hasOwn(KEYS, key) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      held.add(key);
    },
    keyup: (event) => held.delete(keyOf(event)),
    blur: () => held.clear(),
  };
  for (const [name, handler] of Object.entries(listen)) canvas.addEventListener(name, handler);
  return () => {
    done = true;
    stop();
  };
}

/** The solution of a closed puzzle is a way among many: nothing worth telling. */
export const reveal = () => "";
