'use strict';

// A stock Node service that closes idle connections after the given milliseconds (5000 is Node's default), and counts
// how often it was asked for each id. It prints its port.
const http = require('node:http');

const counts = {};
const server = http.createServer((req, res) => {
  if (req.url === '/api/counts') {
    res.end(JSON.stringify(counts));
    return;
  }
  const id = req.headers['x-test-id'];
  counts[id] = (counts[id] || 0) + 1;
  req.resume().on('end', () => res.end('done'));
});
if (process.argv[2]) server.keepAliveTimeout = Number(process.argv[2]);
server.listen(0, '127.0.0.1', () => console.log(`port ${server.address().port}`));
