// Built from utils/
/**
 * How a request reaches the gateway: wx.request, wx.cloud.callContainer or the cloud function api-proxy. Whatever the
 * way, an answer is {statusCode, header, data} with lower-case header names, and a failure is a GatewayError.
 */
declare const _exports: {
  GatewayError: typeof GatewayError;
  answerOf: typeof answerOf;
  call: typeof call;
  refusal: typeof refusal;
  send: typeof send;
};
export = _exports;
export type Answer = {
  statusCode: number;
  header: Record<string, string>;
  data: any;
  tempFilePath?: string;
};
export type Outgoing = {
  method: string;
  path: string;
  header: Record<string, string>;
  data?: any;
  timeout: number;
};
export type Options = {
  /**
   * https://… of the gateway, without a / at its end
   */
  baseUrl?: string;
  /**
   * the way of request(); files and sockets need baseUrl
   */
  transport?: 'request' | 'container' | 'function';
  /**
   * the cloud environment, for container and function
   */
  env?: string;
  /**
   * the Cloud Run service, for container
   */
  service?: string;
  functionName?: string;
  /**
   * log in by the openid that the cloud vouches for, without wx.login
   */
  cloudLogin?: boolean;
  /**
   * whether a session that was ended elsewhere comes back by itself
   */
  silentLogin?: 'always' | 'unless-revoked';
  /**
   * where wechatLogin sends an avatar
   */
  uploadPath?: string;
  /**
   * milliseconds
   */
  timeout?: number;
};
export type Failure = Error & {
  code: number;
  reason: string;
  requestId: string;
  errMsg?: string;
};
/** @typedef {{statusCode: number, header: Record<string, string>, data: any, tempFilePath?: string}} Answer */
/** @typedef {{method: string, path: string, header: Record<string, string>, data?: any, timeout: number}} Outgoing */
/**
 * @typedef {object} Options
 * @property {string} [baseUrl] https://… of the gateway, without a / at its end
 * @property {'request' | 'container' | 'function'} [transport] the way of request(); files and sockets need baseUrl
 * @property {string} [env] the cloud environment, for container and function
 * @property {string} [service] the Cloud Run service, for container
 * @property {string} [functionName]
 * @property {boolean} [cloudLogin] log in by the openid that the cloud vouches for, without wx.login
 * @property {'always' | 'unless-revoked'} [silentLogin] whether a session that was ended elsewhere comes back by itself
 * @property {string} [uploadPath] where wechatLogin sends an avatar
 * @property {number} [timeout] milliseconds
 */
/**
 * What a GatewayError is; errMsg is what WeChat said of a call that got no answer.
 * @typedef {Error & {code: number, reason: string, requestId: string, errMsg?: string}} Failure
 */
/** What went wrong. code is the HTTP status, 0 when there was no answer; decide by reason. */
declare class GatewayError extends Error {
  code: number;
  reason: string;
  requestId: string;
  /** @param {number} code @param {string} reason @param {string} message @param {string} [requestId] */
  constructor(code: number, reason: string, message: string, requestId?: string);
}
/** @param {Answer} answer with a status of 400 or more */
declare function refusal(answer: Answer): GatewayError;
/**
 * @param {(options: any) => any} api a wx function that takes success and fail
 * @param {object} options
 * @returns {Promise<any>}
 */
declare function call(api: (options: any) => any, options: object): Promise<any>;
/** @param {any} result @returns {Answer} */
declare function answerOf(result: any): Answer;
/** Sends once and never again. @param {Outgoing} out @param {Options} options @returns {Promise<Answer>} */
declare function send(out: Outgoing, options: Options): Promise<Answer>;
