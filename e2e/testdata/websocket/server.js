'use strict';

// A service with a WebSocket: it greets with the identity that the gateway injected, then echoes. It prints its port,
// and a line for each connection that ended.
const http = require('node:http');
const { WebSocketServer } = require('ws');

const server = http.createServer((req, res) => res.end('plain'));
const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 } });

sockets.on('connection', (socket, req) => {
  socket.send(`hello ${req.headers['x-user-id'] || 'nobody'}`);
  socket.on('message', (data, binary) => socket.send(data, { binary }));
  socket.on('close', (code) => console.log(`closed ${code}`));
  socket.on('error', (err) => console.log(`error ${err.message}`));
});

server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
