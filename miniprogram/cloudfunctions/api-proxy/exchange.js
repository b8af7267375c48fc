const http = require('http');
const https = require('https');
const { Refusal } = require('./request');

/** A function sleeps between calls, and the other end closes what is idle: connections older than this are not used. */
const IDLE = 4000;

/** Connections that are kept for the next call, but not through a long sleep. @param {URL} upstream */
function createConnections(upstream) {
  const library = upstream.protocol === 'https:' ? https : http;
  const fresh = () => new library.Agent({ keepAlive: true, maxSockets: 50 });
  let agent = fresh();
  let used = 0;
  return {
    library,
    agent() {
      const now = Date.now();
      if (now - used > IDLE) agent = fresh();
      used = now;
      return agent;
    },
  };
}

/**
 * One request, sent once, with one deadline for all of it.
 * @param {ReturnType<typeof createConnections>} connections
 * @param {{url: URL, method: string, headers: Record<string, string | number>, body: Buffer}} call
 * @param {{timeout: number, largest: number}} settings
 * @returns {Promise<{response: import('http').IncomingMessage, body: Buffer}>}
 */
function exchange(connections, call, settings) {
  return new Promise((resolve, reject) => {
    const { url, method, headers, body } = call;
    const request = connections.library.request(url, { method, headers, agent: connections.agent() });
    const timer = setTimeout(() => request.destroy(new Refusal(504, 'upstream_timeout', '服务响应超时')), settings.timeout);
    let reached = false; // from then on the gateway may have acted on the request
    request.on('socket', (socket) => {
      const ready = url.protocol === 'https:' ? 'secureConnect' : 'connect';
      if (socket.connecting) socket.once(ready, () => { reached = true; });
      else reached = true;
    });
    const fail = (/** @type {Error} */ error) => {
      clearTimeout(timer);
      reject(error instanceof Refusal ? error : brokenOff(reached));
    };
    request.on('error', fail);
    request.on('response', (response) => {
      collect(response, settings.largest).then((whole) => {
        clearTimeout(timer);
        resolve({ response, body: whole });
      }, (error) => {
        request.destroy();
        fail(error);
      });
    });
    request.end(body);
  });
}

/** @param {boolean} reached whether the gateway can have seen the request; who is told that it has not sends it again */
function brokenOff(reached) {
  return reached ? new Refusal(502, 'upstream_reset', '服务连接中断') : new Refusal(502, 'upstream_connect', '服务暂时无法连接');
}

/** @param {import('http').IncomingMessage} response @param {number} largest @returns {Promise<Buffer>} */
async function collect(response, largest) {
  const parts = [];
  let size = 0;
  for await (const part of response) {
    size += part.length;
    if (size > largest) throw new Refusal(502, 'upstream_invalid', '响应过大，请直接用 wx.request 或 wx.downloadFile');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

module.exports = { createConnections, exchange };
