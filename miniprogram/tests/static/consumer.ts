// A TypeScript project that installed the published client: what it may write, and what the compiler must refuse.
import client = require('../../miniprogram_dist/index');

async function page() {
  client.configure({ baseUrl: 'https://gw.example', silentLogin: 'unless-revoked' });
  const { access_token, user, avatarError } = await client.wechatLogin({ nickName: '小厨' });
  const texts: string[] = [access_token, user.nickname, client.getLocalToken(), avatarError ? avatarError.reason : ''];
  const answer = await client.request({ url: '/api/v1/recipes', data: { page: 1 } });
  const status: number = answer.statusCode;
  const told: boolean = await client.logout({ all: true });
  await client.decrypt(() => wx.getWeRunData());
  // @ts-expect-error there is no such way
  client.configure({ transport: 'pigeon' });
  // @ts-expect-error a request needs a url
  await client.request({});
  return [texts, status, told];
}

export = page;
