/** The puzzle types this page can show. Each has title, task, mount(element, puzzle, submit, serverNow) and reveal. */

import * as concentration from "./concentration.js";
import * as memory from "./memory.js";
import * as multitasking from "./multitasking.js";
import * as spatial from "./spatial.js";

const TYPES = { concentration, memory, multitasking, spatial };

export const TYPE_NAMES = Object.keys(TYPES);

/** A type's module, or null for one that others added and this page has never heard of. */
export const puzzleType = (name) => (Object.hasOwn(TYPES, name) ? TYPES[name] : null);

export const titleOf = (name) => puzzleType(name)?.title ?? name;
