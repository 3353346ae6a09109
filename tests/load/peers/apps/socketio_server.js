// Socket.IO with its Redis adapter: one room for each room.
"use strict";
const { createServer } = require("node:http");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");
const { Server } = require("socket.io");

async function main() {
  const [port, url] = process.argv.slice(2);
  const publishing = createClient({ url });
  const subscribed = publishing.duplicate();
  await Promise.all([publishing.connect(), subscribed.connect()]);
  const http = createServer();
  const io = new Server(http, { adapter: createAdapter(publishing, subscribed), transports: ["websocket"] });
  io.on("connection", (socket) => socket.join(socket.handshake.query.room));
  http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
}

main();
