// A TypeScript project that installed the published client: what it may write, and what the compiler must refuse.
import client = require('wxgate-miniprogram');
import { GatewayError, request } from 'wxgate-miniprogram';
import type { Answer, Failure } from 'wxgate-miniprogram';

interface Recipe { id: number; title: string }

async function page() {
  client.configure({ baseUrl: 'https://gw.example', silentLogin: 'unless-revoked' });
  const { access_token, user, avatarError } = await client.wechatLogin({ nickName: '小厨' });
  const texts: string[] = [access_token, user.nickname, client.getLocalToken(), avatarError ? avatarError.reason : ''];
  const answer = await client.request({ url: '/api/v1/recipes', data: { page: 1 } });
  const status: number = answer.statusCode;
  const told: boolean = await client.logout({ all: true });
  await client.decrypt(() => wx.getWeRunData());
  const { purePhoneNumber } = await client.bindPhone({ code: 'p' });
  texts.push(purePhoneNumber);
  const paid: void = await client.payVirtual({ recipe: 7 }, { timeout: 5000 });
  const { deletes_at } = await client.deleteAccount();
  texts.push(deletes_at || '', (await client.exportAccount()).phone);
  client.configure({ api: wx });
  await client.wechatLogin({ code: 'handed over' });
  // @ts-expect-error that is no framework
  client.configure({ api: {} });
  // @ts-expect-error there is no such way
  client.configure({ transport: 'pigeon' });
  // @ts-expect-error a request needs a url
  await client.request({});
  // @ts-expect-error there is no such method
  await client.request({ url: '/api/v1/recipes', method: 'FOO' });
  return [texts, status, told, paid];
}

async function typed(): Promise<Recipe> {
  const answer: Answer<{ data: Recipe }> = await request<{ data: Recipe }>({ url: '/api/v1/recipes/1', method: 'get' });
  // @ts-expect-error a recipe has no such field
  answer.data.data.colour;
  return answer.data.data;
}

/** Options of wx.request, its task, and callbacks that know what they get. */
function options() {
  void request({
    url: '/api/v1/file', method: 'PATCH', responseType: 'arraybuffer', enableChunked: true, enableHttp2: true, timeout: 5,
    onTask: (task) => task.onChunkReceived(({ data }) => data.byteLength),
    success: ({ header, statusCode }) => [header.etag.length, statusCode.toFixed()],
    fail: (error) => error.reason.length + (error.errMsg || '').length,
  });
  void client.upload<{ data: { url: string } }>({ url: '/api/v1/uploads', filePath: 'wxfile://a', header: { a: 'b' }, onTask: (task) => task.onProgressUpdate(({ progress }) => progress) });
  void client.download({ url: '/api/v1/file', filePath: 'wxfile://b', onTask: (task) => task.abort() });
  void client.connectSocket({ url: '/live', protocols: ['v1'] }).then((socket) => socket.close({}));
}

/** Text or bytes, as they come. */
async function streams() {
  const answer = client.stream({ url: '/api/v1/chat', method: 'POST', data: {}, onChunk: (text) => text.trim() });
  answer.abort();
  await client.stream({ url: '/api/v1/speech', responseType: 'arraybuffer', timeout: 9, header: { a: 'b' }, onChunk: (bytes) => bytes.byteLength });
  // @ts-expect-error text has no length in bytes
  client.stream({ url: '/api/v1/chat', onChunk: (text) => text.byteLength });
  // @ts-expect-error nobody would hear it
  client.stream({ url: '/api/v1/chat' });
  return (await answer).statusCode;
}

/** What a form shows beside its fields. */
function fieldErrors(error: unknown): Record<string, string> {
  if (!(error instanceof GatewayError)) throw error;
  const failure: Failure = error;
  const numbers: number[] = [failure.status, failure.code, failure.errno || 0, failure.errCode || 0, failure.quota ? failure.quota.limit + failure.quota.reset : 0];
  const texts: string[] = [failure.reason, failure.requestId, failure.message, failure.errMsg || '', failure.header['retry-after'] || ''];
  return numbers.length && texts.length ? failure.body.errors : {};
}

export { fieldErrors, options, page, streams, typed };
