// The demo's host: requests go through the demo's own server to the gateway, codes come from the sandbox.
/* global phone */
(function () {
  const person = document.getElementById('person');
  const offline = document.getElementById('offline');
  const log = document.getElementById('log');

  function note(method, path, status) {
    const line = document.createElement('li');
    const code = document.createElement('b');
    code.textContent = status || '✕';
    code.className = status >= 200 && status < 400 ? '' : 'bad';
    line.append(code, ` ${method} ${path}`);
    log.prepend(line);
    while (log.children.length > 14) log.lastChild.remove();
  }

  /** The example calls config.develop.baseUrl; the demo's server forwards /gateway/ there. */
  const pathOf = (url) => url.replace(/^https?:\/\/[^/]+/, '');

  async function send(url, init) {
    const path = pathOf(url);
    if (offline.checked) {
      note(init.method, path, 0);
      throw new Error('net::ERR_INTERNET_DISCONNECTED');
    }
    const response = await fetch(`gateway${path}`, init);
    note(init.method, path, response.status);
    const text = await response.text();
    return { statusCode: response.status, header: Object.fromEntries(response.headers), text };
  }

  const parsed = (text) => {
    try {
      return JSON.parse(text);
    } catch (_) {
      return text;
    }
  };

  offline.addEventListener('change', () => phone.network(!offline.checked));

  const streams = new Map();
  const hosts = {
    async login() {
      if (person.value.startsWith('err-')) return person.value;
      const response = await fetch('sandbox/code', { method: 'POST', body: JSON.stringify({ person: person.value }) });
      return (await response.json()).code;
    },
    async request({ url, method, header, data }) {
      const body = method === 'GET' || data === undefined ? undefined : JSON.stringify(data);
      const headers = Object.assign(body ? { 'Content-Type': 'application/json' } : {}, header);
      const answer = await send(url, { method, headers, body });
      return { statusCode: answer.statusCode, header: answer.header, data: parsed(answer.text) };
    },
    async stream({ id, url, method, header, data }) {
      const path = pathOf(url);
      if (offline.checked) return send(url, { method }); // which fails
      const controller = new AbortController();
      streams.set(id, controller);
      const headers = Object.assign({ 'Content-Type': 'application/json' }, header);
      const response = await fetch(`gateway${path}`, { method, headers, body: JSON.stringify(data), signal: controller.signal });
      note(method, path, response.status);
      const head = { statusCode: response.status, header: Object.fromEntries(response.headers) };
      phone.heard(id, 'head', head);
      for (const reader = response.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) return head;
        phone.heard(id, 'chunk', phone.wx.arrayBufferToBase64(value));
      }
    },
    abort(id) {
      streams.get(id).abort();
    },
    async upload({ url, name, header, file }) {
      const form = new FormData();
      form.append(name, await (await fetch(file)).blob(), 'avatar.png');
      const answer = await send(url, { method: 'POST', headers: header, body: form });
      return { statusCode: answer.statusCode, data: answer.text };
    },
    async pay(payment) {
      const push = `${location.origin}/gateway/wechat/push`; // of this page, which hands it to the gateway
      const response = await fetch('sandbox/virtual-pay', { method: 'POST', body: JSON.stringify(Object.assign({ person: person.value, push }, payment)) });
      return response.json();
    },
    chooseAvatar: () => ({ path: `http://tmp/avatar-${Date.now()}.png`, data: face() }),
    async getPhoneNumber() {
      const response = await fetch('sandbox/phone-code', { method: 'POST', body: JSON.stringify({ person: person.value }) });
      return { errMsg: 'getPhoneNumber:ok', code: (await response.json()).code };
    },
  };

  /** A picture to choose, another one each time. */
  function face() {
    const canvas = Object.assign(document.createElement('canvas'), { width: 300, height: 300 });
    const pen = canvas.getContext('2d');
    pen.fillStyle = `hsl(${Math.random() * 360} 55% 55%)`;
    pen.fillRect(0, 0, 300, 300);
    pen.fillStyle = '#fff';
    pen.font = '170px sans-serif';
    pen.textAlign = 'center';
    pen.fillText('番葱面饺蛋'[Math.floor(Math.random() * 5)], 150, 210);
    return canvas.toDataURL('image/png');
  }

  phone.host = async (name, argument) => hosts[name](argument);
  phone.start();
}());
