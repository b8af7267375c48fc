'use strict';

// A client that opens a WebSocket, checks that a megabyte and a text come back, says "ready" and then waits to be
// closed. It prints one line for each thing that happens.
const crypto = require('node:crypto');
const WebSocket = require('ws');

const [, , url, token] = process.argv;
const socket = new WebSocket(url, { headers: token ? { Authorization: `Bearer ${token}` } : {} });
const blob = crypto.randomBytes(1 << 20);
let received = 0;

socket.on('unexpected-response', (_, res) => console.log(`refused ${res.statusCode}`) || process.exit(0));
socket.on('error', (err) => console.log(`error ${err.message}`));
socket.on('close', (code) => console.log(`closed ${code}`));
socket.on('message', (data, binary) => {
  received += 1;
  if (received === 1) {
    console.log(String(data));
    socket.send('你好');
    socket.send(blob);
    return;
  }
  const same = binary ? blob.equals(data) : String(data) === '你好';
  if (!same) console.log('changed');
  if (received === 3) socket.ping();
});
socket.on('pong', () => console.log('ready'));
