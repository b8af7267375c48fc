// Built from utils/
export { GatewayError } from './transport.mjs';
export type Answer<T = any> = import('./transport.mjs').Answer<T>;
export type Failure = import('./transport.mjs').Failure;
export type Options = import('./transport.mjs').Options;
export type User = {
  [field: string]: any;
  id: number;
  openid: string;
  nickname: string;
  avatar: string;
};
/**
 * avatarUrl may be the temporary file of chooseAvatar; code is one of wx.login that was handed over, to a page in a browser say
 */
export type Profile = {
  nickName?: string;
  avatarUrl?: string;
  code?: string;
};
export type Sealed = {
  code?: string;
  encryptedData?: string;
  iv?: string;
  rawData?: string;
  signature?: string;
};
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD' | 'OPTIONS';
export type Listeners<Task> = {
  success?: ((answer: Answer) => void) | undefined;
  fail?: ((error: Failure) => void) | undefined;
  complete?: ((outcome: any) => void) | undefined;
  onTask?: ((task: Task) => void) | undefined;
};
/**
 * what these options are is said here, not in the typings of WeChat
 */
export type Ours = 'url' | 'method' | 'name' | 'data' | 'header' | 'success' | 'fail' | 'complete';
/**
 * url is a path such as /api/v1/recipes
 */
export type Target = {
  url: string;
  header?: Record<string, string>;
};
export type Request = Omit<WechatMiniprogram.RequestOption, Ours> & Target & Listeners<WechatMiniprogram.RequestTask> & {
  method?: Method | Lowercase<Method>;
  data?: any;
};
/**
 * text in UTF-8, whole characters each time, or bytes
 */
export type Chunks = {
  responseType?: "text" | undefined;
  onChunk: (text: string) => void;
} | {
  responseType: 'arraybuffer';
  onChunk: (bytes: ArrayBuffer) => void;
};
export type Streaming = Omit<Request, keyof Listeners<any> | 'enableChunked' | 'responseType' | 'dataType'> & Chunks;
export type Stream = Promise<Answer> & {
  abort: () => void;
};
export type Upload = Omit<WechatMiniprogram.UploadFileOption, Ours> & Target & Listeners<WechatMiniprogram.UploadTask> & {
  name?: string;
};
export type Download = Omit<WechatMiniprogram.DownloadFileOption, Ours> & Target & Listeners<WechatMiniprogram.DownloadTask>;
export type Socket = Omit<WechatMiniprogram.ConnectSocketOption, 'url' | 'header'> & Target;
export type Phone = {
  [field: string]: any;
  phoneNumber: string;
  purePhoneNumber: string;
  countryCode: string;
};
export type Login = {
  access_token: string;
  user: User;
  avatarError?: Failure;
};
/**
 * Call it once, in app.js.
 * @param {Options} changes
 */
export function configure(changes: Options): void;
/**
 * Logs in, whoever else is doing so at the moment. A temporary avatar is uploaded after the login; when only that fails,
 * the login stands and avatarError says why.
 * @param {Profile} [profile] @returns {Promise<Login>}
 */
export function wechatLogin(profile?: Profile | undefined): Promise<Login>;
/**
 * Asks the gateway; without a network the stored token counts.
 * @returns {Promise<boolean>}
 */
export function checkLoginStatus(): Promise<boolean>;
/** @returns {string} '' when logged out */
export function getLocalToken(): string;
/** @returns {User | null} */
export function getLocalUserInfo(): User | null;
/**
 * Changes the token for a new one of the same session.
 * @returns {Promise<string>}
 */
export function refreshToken(): Promise<string>;
/**
 * Ends the session at the gateway, then here.
 * @param {{all?: boolean}} [which] @returns {Promise<boolean>} whether the gateway knows
 */
export function logout(which?: {
  all?: boolean | undefined;
} | undefined): Promise<boolean>;
/**
 * Calls the gateway, with the token if there is one. A status of 400 or more, and no answer, reject with GatewayError.
 * What is given beside goes to wx.request, callContainer or the cloud function; onTask is given each task of wx.request.
 * @template [T=any]
 * @param {Request} wanted url is a path such as /api/v1/recipes @returns {Promise<Answer<T>>}
 */
export function request<T = any>(wanted: Request): Promise<Answer<T>>;
/**
 * Calls the gateway and hands on what the service answers as it comes, an answer of an AI say. A status of 400 or more is no
 * stream: it rejects as in request(), and nothing is handed on. Goes to baseUrl by wx.request; 5 minutes unless timeout says otherwise.
 * @param {Streaming} wanted @returns {Stream} resolves when all has come; abort() ends it at once with the reason 'aborted'
 */
export function stream(wanted: Streaming): Stream;
/**
 * Sends a file.
 * @template [T=any] @param {Upload} file @returns {Promise<Answer<T>>}
 */
export function upload<T = any>(file: Upload): Promise<Answer<T>>;
/**
 * Fetches a file; tempFilePath is where it is.
 * @param {Download} file @returns {Promise<Answer>}
 */
export function download(file: Download): Promise<Answer>;
/**
 * A promise, because the token may have to be renewed first. In a browser no header goes along, and so no token.
 * @param {Socket} socket @returns {Promise<WechatMiniprogram.SocketTask>}
 */
export function connectSocket(socket: Socket): Promise<WechatMiniprogram.SocketTask>;
/**
 * Binds the phone of <button open-type="getPhoneNumber">.
 * @param {Sealed} detail e.detail of its event @returns {Promise<Phone>}
 */
export function bindPhone(detail: Sealed): Promise<Phone>;
/**
 * Opens what WeChat sealed with the session_key, which never leaves the gateway.
 * @param {Sealed | (() => Promise<Sealed>)} source a function such as () => wx.getWeRunData() is called with a key that
 * is known to be good, and a second time when the gateway's was stale @returns {Promise<any>}
 */
export function decrypt(source: Sealed | (() => Promise<Sealed>)): Promise<any>;
/**
 * Buys something by virtual payment. When it resolves, WeChat has taken the money; what was bought is delivered by the
 * service, when WeChat tells it. A session_key that is stale, or seems so, is renewed by one login, and then the order is signed and paid anew.
 * @param {any} order what the service calls it: a number, a text or an object
 * @param {Pick<Request, 'header' | 'timeout'>} [signing] options of the request to sign
 * @returns {Promise<void>} rejects with the reason 'cancelled' when the user changes their mind
 */
export function payVirtual(order: any, signing?: Pick<Request, "header" | "timeout"> | undefined): Promise<void>;
/** @returns {Promise<any>} what the gateway keeps of who is logged in: {user, phone, sessions, …} */
export function exportAccount(): Promise<any>;
/**
 * Deletes the account of who is logged in, after one more login, which shows that it is the user who asks. From then on nobody is
 * logged in before the app calls wechatLogin(): a login would take a deletion with days of grace back.
 * @returns {Promise<{deletes_at: string | null}>} when it is final, where the gateway leaves days of grace
 */
export function deleteAccount(): Promise<{
  deletes_at: string | null;
}>;
declare const client: Omit<typeof import('./index.mjs'), 'default'>;
export default client;
