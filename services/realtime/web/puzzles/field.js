/** Drawing the spatial puzzle's field. */

import { upperEdge } from "./gates.js";

const NAMES = { floor: "--field", wall: "--wall", goal: "--goal", square: "--accent", caught: "--bad", text: "--ink" };

/** The page's colours for a canvas, in the reader's scheme. */
export function readShades(canvas) {
  const style = getComputedStyle(canvas);
  return Object.fromEntries(Object.entries(NAMES).map(([key, name]) => [key, style.getPropertyValue(name).trim()]));
}

/** The field at instant `t` of the attempt, with the square's centre at `here` ([t, x, y]). */
export function drawField(pen, shades, view, t, here, caught) {
  const { field, goal, half_size: half } = view;
  pen.fillStyle = shades.floor;
  pen.fillRect(0, 0, field.width, field.height);

  pen.fillStyle = shades.goal;
  pen.fillRect(goal.x, goal.y, goal.width, goal.height);
  pen.fillStyle = shades.text;
  pen.font = "bold 26px system-ui, sans-serif";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.fillText("GOAL", goal.x + goal.width / 2, goal.y + goal.height / 2);

  pen.fillStyle = shades.wall;
  for (const gate of view.gates) {
    const edge = upperEdge(gate, t);
    pen.fillRect(gate.x, 0, gate.width, edge);
    pen.fillRect(gate.x, edge + gate.gap, gate.width, field.height - edge - gate.gap);
  }

  const [, x, y] = here;
  pen.fillStyle = caught ? shades.caught : shades.square;
  pen.fillRect(x - half, y - half, 2 * half, 2 * half);
  if (!caught) return;
  pen.strokeStyle = shades.floor; // A cross: that the square was caught shows without its colour too.
  pen.lineWidth = 6;
  pen.beginPath();
  pen.moveTo(x - half, y - half);
  pen.lineTo(x + half, y + half);
  pen.moveTo(x + half, y - half);
  pen.lineTo(x - half, y + half);
  pen.stroke();
}
