/** Code of the guide that is not part of the example. guide.test.js runs it; the guide quotes it. */
const { bindPhone, checkLoginStatus, configure, connectSocket, decrypt, download, logout, payVirtual, request, stream, upload, wechatLogin } = require('../../utils/wechat-login');

function cloudRun() {
  configure({
    transport: 'container',
    env: 'prod-1',
    service: 'wxgate',
    baseUrl: 'https://gateway.example.com', // files and sockets go here
    cloudLogin: true, // needs wechat.cloud_run: true in gateway.yaml
  });
}

function cloudFunction() {
  configure({
    transport: 'function',
    env: 'prod-1',
    baseUrl: 'https://gateway.example.com', // files and sockets go here
  });
}

async function list() {
  const { data } = await request({ url: '/api/v1/recipes', data: { page: 1, limit: 20 } });
  return data.data.items;
}

/** @param {string} title */
async function rename(title) {
  await request({ url: '/api/v1/recipes/1', method: 'PATCH', data: { title } });
}

/** @param {(message: string) => void} show */
async function publish(show) {
  try {
    await request({ url: '/api/v1/recipes', method: 'POST', data: { title: '阳春面' } });
  } catch (/** @type {any} */ error) {
    // { code: 401, reason: 'token_missing', message: '请先登录', requestId: '7C4mNR3H8XtkFvEc' }
    if (error.code === 401) wx.navigateTo({ url: '/pages/login/login' });
    else show(error.message);
  }
}

/** @param {object} recipe @param {(errors: Record<string, string>) => void} showBesideFields */
async function save(recipe, showBesideFields) {
  try {
    await request({ url: '/api/v1/recipes', method: 'POST', data: recipe });
  } catch (/** @type {any} */ error) {
    // error.body: { errors: { title: '太短' } }
    if (error.status !== 422) throw error;
    showBesideFields(error.body.errors);
  }
}

/** @param {string} question @param {(text: string) => void} show */
async function ask(question, show) {
  let rest = '';
  const answer = stream({
    url: '/api/v1/chat',
    method: 'POST',
    data: { question },
    onChunk(text) {
      const events = (rest + text).split('\n\n'); // text/event-stream: a chunk may end anywhere
      rest = events.pop() || '';
      for (const event of events) show(JSON.parse(event.slice('data: '.length)).text);
    },
  });
  // answer.abort() stops it
  await answer;
}

/** @param {string} question @param {(text: string) => void} show @param {(message: string) => void} tell */
async function askOrTell(question, show, tell) {
  try {
    await ask(question, show);
  } catch (/** @type {any} */ error) {
    if (error.reason === 'quota_exceeded' && error.quota) {
      tell(`今天的 ${error.quota.limit} 次用完了，${Math.ceil(error.quota.reset / 3600)} 小时后再来`);
    } else if (error.reason !== 'aborted') tell(error.message);
  }
}

/** @param {(bytes: ArrayBuffer) => void} show @returns {() => void} */
function listen(show) {
  /** @type {WechatMiniprogram.RequestTask | undefined} */
  let running;
  request({
    url: '/api/v1/chat',
    enableChunked: true,
    onTask(task) {
      running = task;
      task.onChunkReceived(({ data }) => show(data));
    },
  }).catch(() => {});
  return () => running && running.abort();
}

/** @param {string} filePath */
async function sendPicture(filePath) {
  const { data } = await upload({ url: '/api/v1/uploads', filePath, formData: { kind: 'step' } });
  return data.data.url;
}

async function steps() {
  const run = await decrypt(() => wx.getWeRunData());
  return run.stepInfoList;
}

/** @param {number} id @param {(message: string) => void} show */
async function buy(id, show) {
  try {
    await payVirtual({ recipe: id });
    show('已付款，正在发货');
  } catch (/** @type {any} */ error) {
    if (error.reason !== 'cancelled') show(error.message);
  }
}

/** @returns {Promise<string>} the src of a <web-view> */
async function webPage() {
  const { code } = await wx.login();
  return `https://h5.example.com/#/pages/index/index?code=${code}`;
}

module.exports = { ask, askOrTell, bindPhone, buy, checkLoginStatus, cloudFunction, cloudRun, configure, connectSocket, download, list, listen, logout, publish, rename, save, sendPicture, steps, webPage, wechatLogin };
