// wx.*: what the example and its client call. The network, the login and the pictures come from phone.host, which is
// Node in the tests and fetch in the demo.
/* global phone */
(function () {
  const KEY = 'wx-storage';
  const storage = new Map(JSON.parse(localStorage.getItem(KEY) || '[]'));
  const keep = () => localStorage.setItem(KEY, JSON.stringify([...storage]));
  const copy = (value) => (value === undefined ? '' : JSON.parse(JSON.stringify(value)));

  /** A wx function: callbacks, or a promise when there are none. */
  const api = (name, work) => (options = {}) => {
    phone.calls.push([name, options.url || options.title || '']);
    const result = Promise.resolve().then(() => work(options)).then(
      (value) => Object.assign({ errMsg: `${name}:ok` }, value),
      (error) => { throw Object.assign(new Error(error.message), { errMsg: `${name}:fail ${error.message}`, errCode: error.errCode }); },
    );
    if (!options.success && !options.fail && !options.complete) return result;
    return void result.then(
      (value) => { if (options.success) options.success(value); return value; },
      (error) => { if (options.fail) options.fail(pick(error, ['errMsg', 'errCode'])); return error; },
    ).then(options.complete);
  };

  /** Files: a path as WeChat makes them, and the picture or the text behind it. */
  const pictures = new Map();
  phone.files = {
    add({ path, data }) {
      pictures.set(path, data);
      return path;
    },
    show: (path) => pictures.get(path) || path,
  };

  /** The agreement that WeChat asks for before avatar, nickname and phone number. */
  let listener = null;
  phone.privacy = {
    needed: false,
    agreed(referrer) {
      if (!phone.privacy.needed || !listener) return Promise.resolve(true);
      return new Promise((resolve) => {
        listener(({ event }) => {
          if (event === 'agree') phone.privacy.needed = false;
          resolve(event === 'agree');
        }, { referrer });
      });
    },
  };

  /** Who wants to know that the phone went offline or online. */
  const networkListeners = new Set();
  phone.network = (isConnected) => networkListeners.forEach((listener) => listener({ isConnected, networkType: isConnected ? 'wifi' : 'none' }));

  /** A request whose answer comes in chunks: the host calls phone.heard, and its promise is the end. */
  const streams = new Map();
  let lastStream = 0;
  phone.heard = (id, event, told) => {
    if (streams.has(id)) streams.get(id)[event](event === 'chunk' ? { data: phone.wx.base64ToArrayBuffer(told) } : told);
  };
  function inChunks(options) {
    const id = ++lastStream;
    const listeners = { head() {}, chunk() {} };
    let abort;
    const aborted = new Promise((_, reject) => {
      abort = () => {
        streams.delete(id);
        phone.host('abort', id);
        reject(new Error('abort'));
      };
    });
    streams.set(id, listeners);
    const answer = () => Promise.race([phone.host('stream', Object.assign({ id }, pick(options, ['url', 'method', 'header', 'data']))), aborted]);
    aborted.catch(() => {});
    api('request', answer)(options);
    return { abort, onHeadersReceived(listener) { listeners.head = listener; }, onChunkReceived(listener) { listeners.chunk = listener; } };
  }

  const toast = ({ title }) => {
    const element = document.getElementById('toast');
    element.textContent = title;
    element.hidden = false;
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => { element.hidden = true; }, 2000);
  };

  const modal = ({ title, content, showCancel = true }) => new Promise((resolve) => {
    const dialog = document.getElementById('modal');
    dialog.querySelector('h2').textContent = title;
    dialog.querySelector('p').textContent = content;
    dialog.querySelector('button:not([value=yes])').hidden = !showCancel;
    dialog.hidden = false;
    dialog.querySelector('button:not([hidden])').focus();
    dialog.querySelectorAll('button').forEach((button) => {
      button.onclick = () => {
        dialog.hidden = true;
        resolve({ confirm: button.value === 'yes', cancel: button.value !== 'yes' });
      };
    });
  });

  const pick = (from, names) => Object.fromEntries(names.map((name) => [name, from[name]]));

  phone.wx = {
    getStorageSync: (key) => (storage.has(key) ? copy(storage.get(key)) : ''),
    setStorageSync(key, value) {
      storage.set(key, copy(value));
      keep();
    },
    removeStorageSync(key) {
      storage.delete(key);
      keep();
    },

    arrayBufferToBase64: (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))),
    base64ToArrayBuffer: (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer,

    login: api('login', async () => ({ code: await phone.host('login') })),
    checkSession: api('checkSession', () => {}),
    request: (o) => (o.enableChunked ? inChunks(o) : api('request', () => phone.host('request', pick(o, ['url', 'method', 'header', 'data', 'timeout'])))(o)),
    uploadFile: api('uploadFile', (o) => phone.host('upload', Object.assign(
      { file: phone.files.show(o.filePath) }, pick(o, ['url', 'name', 'header', 'formData', 'filePath'])))),

    requestVirtualPayment: api('requestVirtualPayment', async (o) => {
      const { goodsPrice, buyQuantity } = JSON.parse(o.signData);
      const { confirm } = await modal({ title: '虚拟支付', content: `支付 ¥${(goodsPrice * buyQuantity) / 100}？` });
      const { errCode, errMsg } = confirm ? await phone.host('pay', pick(o, ['mode', 'signData', 'paySig', 'signature'])) : { errCode: -2, errMsg: 'cancel' };
      if (errCode) throw Object.assign(new Error(errMsg), { errCode });
    }),

    navigateTo: api('navigateTo', ({ url }) => phone.pages.push(url)),
    redirectTo: api('redirectTo', ({ url }) => phone.pages.replace(url)),
    reLaunch: api('reLaunch', ({ url }) => phone.pages.restart(url)),
    navigateBack: api('navigateBack', () => phone.pages.pop()),
    stopPullDownRefresh: api('stopPullDownRefresh', () => {}),

    onNetworkStatusChange: (listener) => networkListeners.add(listener),
    offNetworkStatusChange: (listener) => networkListeners.delete(listener),

    showToast: api('showToast', toast),
    showModal: api('showModal', modal),
    openPrivacyContract: api('openPrivacyContract', () => toast({ title: '这里会打开隐私保护指引' })),
    onNeedPrivacyAuthorization(callback) { listener = callback; },
    requirePrivacyAuthorize: api('requirePrivacyAuthorize', async () => {
      if (!(await phone.privacy.agreed('requirePrivacyAuthorize'))) throw new Error('privacy permission is not authorized');
    }),

    canIUse: (name) => name === 'cropImage',
    cropImage: api('cropImage', async ({ src }) => ({ tempFilePath: phone.files.add(await square(src)) })),
    canvasToTempFilePath: api('canvasToTempFilePath', ({ canvas }) => (
      { tempFilePath: phone.files.add({ path: `http://tmp/poster-${Date.now()}.jpg`, data: canvas.toDataURL('image/jpeg') }) })),
    showShareImageMenu: api('showShareImageMenu', ({ path }) => {
      const sheet = document.getElementById('share');
      sheet.querySelector('img').src = phone.files.show(path);
      sheet.hidden = false;
      sheet.focus();
      const close = () => { sheet.hidden = true; };
      sheet.onkeydown = ({ key }) => { if (['Escape', 'Enter', ' '].includes(key)) close(); };
      setTimeout(() => { sheet.onclick = close; }, 400); // after the click of this very tap
    }),

    env: { USER_DATA_PATH: 'http://usr' },
    getFileSystemManager: () => ({ writeFileSync: (filePath, text) => pictures.set(filePath, text) }),
    shareFileMessage: api('shareFileMessage', ({ filePath }) => toast({ title: `这里会选择聊天：${filePath.split('/').pop()}` })),

    getAccountInfoSync: () => ({ miniProgram: { appId: 'wx0000000000demo00', envVersion: 'develop', version: '' } }),
    getAppBaseInfo: () => ({ SDKVersion: '3.9.0', theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light' }),
    getWindowInfo: () => ({ pixelRatio: 2, windowWidth: innerWidth, windowHeight: innerHeight }),
  };

  /** The middle of a picture, as a square. */
  async function square(src) {
    const image = new Image();
    image.src = phone.files.show(src);
    await image.decode();
    const side = Math.min(image.width, image.height);
    const canvas = Object.assign(document.createElement('canvas'), { width: 256, height: 256 });
    canvas.getContext('2d').drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, 256, 256);
    return { path: `http://tmp/cut-${Date.now()}.png`, data: canvas.toDataURL('image/png') };
  }
}());
