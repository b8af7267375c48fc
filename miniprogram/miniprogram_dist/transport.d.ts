// Built from utils/
export type Answer<T = any> = {
  statusCode: number;
  header: Record<string, string>;
  data: T;
  tempFilePath?: string;
  filePath?: string;
  cookies?: string[];
};
export type Outgoing = {
  [option: string]: any;
  method: string;
  path: string;
  header: Record<string, string>;
  data?: any;
  timeout: number;
};
/**
 * functions named as those of wx
 */
export type Platform = {
  [name: string]: any;
  request: any;
  getStorageSync: any;
  setStorageSync: any;
  removeStorageSync: any;
};
export type Options = {
  /**
   * Taro or uni, where that is what a project calls; otherwise wx
   */
  api?: Platform | undefined;
  /**
   * https://… of the gateway
   */
  baseUrl?: string | undefined;
  /**
   * the mini-program, where the gateway serves several
   */
  appId?: string | undefined;
  /**
   * the way of request(); files and sockets need baseUrl
   */
  transport?: "function" | "request" | "container" | undefined;
  /**
   * the cloud environment, for container and function
   */
  env?: string | undefined;
  /**
   * the Cloud Run service, for container
   */
  service?: string | undefined;
  functionName?: string | undefined;
  /**
   * log in by the openid that the cloud vouches for, without wx.login
   */
  cloudLogin?: boolean | undefined;
  /**
   * whether a session that was ended elsewhere comes back by itself
   */
  silentLogin?: "always" | "unless-revoked" | undefined;
  /**
   * where wechatLogin sends an avatar
   */
  uploadPath?: string | undefined;
  /**
   * milliseconds
   */
  timeout?: number | undefined;
};
/**
 * of a limit that is used up: its requests, and the seconds until it is whole again
 */
export type Quota = {
  limit: number;
  reset: number;
};
export type Failure = InstanceType<typeof GatewayError>;
/**
 * How a request reaches the gateway: wx.request, wx.cloud.callContainer or the cloud function api-proxy, of wx or of the
 * framework that stands for it. Whatever the way, an answer is {statusCode, header, data} with lower-case header names,
 * beside what else WeChat tells of it, and a failure is a GatewayError. What the caller gives and this library does not own goes through as it is, bytes included.
 */
/**
 * @template [T=any]
 * @typedef {{statusCode: number, header: Record<string, string>, data: T, tempFilePath?: string, filePath?: string, cookies?: string[]}} Answer
 */
/** @typedef {{method: string, path: string, header: Record<string, string>, data?: any, timeout: number, [option: string]: any}} Outgoing */
/** @typedef {{request: any, getStorageSync: any, setStorageSync: any, removeStorageSync: any, [name: string]: any}} Platform functions named as those of wx */
/**
 * @typedef {object} Options
 * @property {Platform} [api] Taro or uni, where that is what a project calls; otherwise wx
 * @property {string} [baseUrl] https://… of the gateway
 * @property {string} [appId] the mini-program, where the gateway serves several
 * @property {'request' | 'container' | 'function'} [transport] the way of request(); files and sockets need baseUrl
 * @property {string} [env] the cloud environment, for container and function
 * @property {string} [service] the Cloud Run service, for container
 * @property {string} [functionName]
 * @property {boolean} [cloudLogin] log in by the openid that the cloud vouches for, without wx.login
 * @property {'always' | 'unless-revoked'} [silentLogin] whether a session that was ended elsewhere comes back by itself
 * @property {string} [uploadPath] where wechatLogin sends an avatar
 * @property {number} [timeout] milliseconds
 */
/** @typedef {{limit: number, reset: number}} Quota of a limit that is used up: its requests, and the seconds until it is whole again */
/** What went wrong. code is the HTTP status, 0 when there was no answer; decide by reason. */
export class GatewayError extends Error {
  /** @param {number} code @param {string} reason @param {string} message @param {string} [requestId] */
  constructor(code: number, reason: string, message: string, requestId?: string | undefined);
  code: number;
  status: number;
  reason: string;
  requestId: string;
  /** @type {any} what the service answered, parsed if it is JSON: a form finds its field errors here */
  body: any;
  /** @type {Record<string, string>} of that answer, names in lower case */
  header: Record<string, string>;
  /** @type {Quota | undefined} of the limit that refused it */
  quota: Quota | undefined;
  /** @type {string | undefined} what WeChat said of a call that got no answer, and its number */
  errMsg: string | undefined;
  /** @type {number | undefined} */
  errno: number | undefined;
  /** @type {number | undefined} */
  errCode: number | undefined;
}
/** @param {any} result @returns {Answer} */
export function answerOf(result: any): Answer;
/** @returns {any} wx, or what stands for it */
export function api(): any;
/**
 * @param {string} name of a wx function that takes success and fail
 * @param {object} options
 * @param {(task: any) => void} [onTask] is given what can be aborted and listened to
 * @param {any} [of] where the function is
 * @returns {Promise<any>}
 */
export function call(name: string, options: object, onTask?: ((task: any) => void) | undefined, of?: any): Promise<any>;
/**
 * What turns bytes in UTF-8 into text, a piece after the other: a character may be spread over two. A phone has no TextDecoder.
 * @returns {(bytes: ArrayBuffer) => string}
 */
export function decoder(): (bytes: ArrayBuffer) => string;
/** @param {string} reason @param {string} message @param {object} [told] by WeChat @returns {Failure} of what got no answer */
export function fault(reason: string, message: string, told?: object | undefined): Failure;
/** @param {any} data @returns {data is ArrayBuffer} */
export function isBytes(data: any): data is ArrayBuffer;
/** @param {Record<string, any>} [header] */
export function lowerCase(header?: Record<string, any> | undefined): Record<string, string>;
/**
 * JSON, if that is what it is, also as text or as bytes, up to 64 KiB of them.
 * @param {any} data @returns {any}
 */
export function parsed(data: any): any;
/** @param {Failure} failure of a wx call that should have paid */
export function paymentError({ reason, errMsg, errno, errCode }: Failure): GatewayError;
/** @param {Answer} answer with a status of 400 or more */
export function refusal(answer: Answer): GatewayError & {
  body: any;
  header: Record<string, string>;
  quota: any;
};
/**
 * Sends once and never again. wx.request has no PATCH, so it travels as a POST that says so.
 * @param {Outgoing} out @param {Options} options @param {(task: any) => void} [onTask] @returns {Promise<Answer>}
 */
export function send(out: Outgoing, options: Options, onTask?: ((task: any) => void) | undefined): Promise<Answer>;
/** @param {string} path of a refusal, which wx.downloadFile puts into a file @returns {string | undefined} */
export function textIn(path: string): string | undefined;
/** @param {Platform} [given] what stands for wx from now on */
export function usePlatform(given?: Platform | undefined): void;
/**
 * A header with one field of ours, which is alone however the caller writes its name.
 * @param {Record<string, any> | undefined} given @param {string} name @param {string} [value] without one nobody sends the field
 */
export function withField(given: Record<string, any> | undefined, name: string, value?: string | undefined): any;
/** @param {object | undefined} from @param {string[]} names @returns {any} a copy without these */
export function without(from: object | undefined, names: string[]): any;
