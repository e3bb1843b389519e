// A chat: a page and its files with express, messages over a WebSocket with ws. It listens on PORT (3000) of 127.0.0.1,
// or on the socket that it inherits (LISTEN_FDS), so that it runs behind `handler = proxy` and under `handler = exec`.
"use strict";

const http = require("node:http");
const path = require("node:path");
const express = require("express");
const { WebSocketServer } = require("ws");

const app = express();
app.disable("x-powered-by");
app.set("trust proxy", 1); // Weir, whatever kind of socket it comes over

app.get("/", (request, response) => {
	response.set("Cache-Control", "public, max-age=60");
	response.sendFile(path.join(__dirname, "chat.html"), { cacheControl: false });
});
app.get("/whoami", (request, response) => {
	response.set("Cache-Control", "no-store");
	response.json({ ip: request.ip, host: request.headers.host, pid: process.pid });
});
app.post("/say", express.json(), (request, response) => {
	say(String(request.body.text ?? ""));
	response.status(204).end();
});
app.get("/slow", (request, response) => {
	response.set({ "Content-Type": "text/plain", "Cache-Control": "no-store" });
	let n = 0;
	const timer = setInterval(() => {
		response.write(`line ${++n}\n`);
		if (n === 5) {
			clearInterval(timer);
			response.end();
		}
	}, 50);
	response.on("close", () => clearInterval(timer));
});

const server = http.createServer(app);
const sockets = new WebSocketServer({ server, path: "/chat", maxPayload: 1 << 20 });

function say(text) {
	for (const client of sockets.clients)
		if (client.readyState === client.OPEN)
			client.send(text);
}

sockets.on("connection", (socket) => {
	socket.on("error", () => socket.terminate());
	socket.on("message", (data, isBinary) => (isBinary ? socket.send(data) : say(data.toString())));
});

function finish() {
	server.close(() => process.exit(0));
	for (const client of sockets.clients)
		client.close(1001);
	server.closeIdleConnections();
}
process.on("SIGTERM", finish);
process.on("SIGINT", finish);

if (process.env.LISTEN_FDS)
	server.listen({ fd: 3 }, () => console.log("ready"));
else
	server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => console.log("ready"));
