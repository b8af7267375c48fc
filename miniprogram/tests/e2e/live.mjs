// A WebSocket at both ends of the gateway, as far as the tests need one: the service says who is calling, in one frame.
import crypto from 'node:crypto';
import http from 'node:http';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 §1.3

/** @returns {Promise<http.Server>} */
export async function startLive() {
  const server = http.createServer((request, response) => response.writeHead(426).end());
  server.on('upgrade', (request, socket) => {
    const accept = crypto.createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const text = Buffer.from(`user ${request.headers['x-user-id']}`);
    socket.end(Buffer.concat([Buffer.from([0x81, text.length]), text]));
    socket.on('error', () => {});
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return server;
}

/** The first message of a socket, or the status of its refusal. */
export function firstMessage(url, header) {
  const headers = Object.assign({
    Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': crypto.randomBytes(16).toString('base64'),
  }, header);
  return new Promise((resolve, reject) => {
    const request = http.request(url.replace(/^ws/, 'http'), { headers });
    request.on('error', reject);
    request.on('response', (response) => resolve(response.resume().statusCode));
    request.on('upgrade', async (response, socket, head) => {
      let bytes = head;
      for await (const part of socket) bytes = Buffer.concat([bytes, part]);
      resolve(bytes.subarray(2, 2 + bytes[1]).toString());
    });
    request.end();
  });
}
