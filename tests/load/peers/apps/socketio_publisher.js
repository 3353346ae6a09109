// Publishes to rooms by Socket.IO's Redis emitter. usage: ROOMS TAIL START_US RATE TOTAL FIRST_SEQ URL
"use strict";
const { readFileSync } = require("node:fs");
const { Emitter } = require("@socket.io/redis-emitter");
const { createClient } = require("redis");

const now = () => Number(process.hrtime.bigint() / 1000n);

async function main() {
  const [file, tail, ...rest] = process.argv.slice(2);
  const [start, rate, total, firstSeq] = rest.slice(0, 4).map(Number);
  const rooms = readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => line.split("\t")[0]);
  const client = createClient({ url: rest[4] });
  await client.connect();
  const emitter = new Emitter(client);
  const due = (index) => start + Math.floor((index * 1e6) / rate);
  let next = 0;
  let latest = 0;

  function turn() {
    for (const instant = now(); next < total && due(next) <= instant; next++) {
      latest = Math.max(latest, instant - due(next));
      const seq = firstSeq + Math.floor(next / rooms.length);
      emitter.to(rooms[next % rooms.length]).emit("event", JSON.parse(`{"seq":${seq},"t":${due(next)},${tail}`));
    }
    if (next < total) setTimeout(turn, Math.max(0, (due(next) - now()) / 1000));
    else end();
  }

  async function end() {
    await client.ping(); // behind all that was published
    console.log(JSON.stringify({ published: total, refused: 0, late_ms: latest / 1e3 }));
    client.destroy();
  }

  turn();
}

main();
