// Built from utils/
declare const _exports: {
  GatewayError: {
    new (code: number, reason: string, message: string, requestId?: string): {
      name: string;
      code: number;
      reason: string;
      requestId: string;
      message: string;
      stack?: string;
    };
  };
  configure: typeof configure;
  wechatLogin: typeof wechatLogin;
  checkLoginStatus: typeof checkLoginStatus;
  getLocalToken: typeof getLocalToken;
  getLocalUserInfo: typeof getLocalUserInfo;
  refreshToken: typeof refreshToken;
  logout: typeof logout;
  request: typeof request;
  upload: typeof upload;
  download: typeof download;
  connectSocket: typeof connectSocket;
  bindPhone: typeof bindPhone;
  decrypt: typeof decrypt;
};
export = _exports;
export type Answer = import('./transport').Answer;
export type Failure = import('./transport').Failure;
export type Options = import('./transport').Options;
export type User = {
  id: number;
  openid: string;
  nickname: string;
  avatar: string;
  [field: string]: any;
};
export type Profile = {
  nickName?: string;
  avatarUrl?: string;
};
export type Sealed = {
  code?: string;
  encryptedData?: string;
  iv?: string;
  rawData?: string;
  signature?: string;
};
export type Request = {
  url: string;
  method?: string;
  data?: any;
  header?: Record<string, string>;
  timeout?: number;
};
export type Upload = {
  url: string;
  filePath: string;
  name?: string;
  formData?: object;
  timeout?: number;
};
export type Login = {
  access_token: string;
  user: User;
  avatarError?: Failure;
};
/** Call it once, in app.js. @param {Options} changes */
declare function configure(changes: Options): void;
/** @returns {string} '' when logged out */
declare function getLocalToken(): string;
/** @returns {User | null} */
declare function getLocalUserInfo(): User | null;
/**
 * Logs in, whoever else is doing so at the moment. A temporary avatar is uploaded after the login; when only that fails,
 * the login stands and avatarError says why.
 * @param {Profile} [profile] @returns {Promise<Login>}
 */
declare function wechatLogin(profile?: Profile): Promise<Login>;
/** Changes the token for a new one of the same session. @returns {Promise<string>} */
declare function refreshToken(): Promise<string>;
/**
 * Calls the gateway, with the token if there is one. A status of 400 or more, and no answer, reject with GatewayError.
 * @param {Request} wanted url is a path such as /api/v1/recipes @returns {Promise<Answer>}
 */
declare function request(wanted: Request): Promise<Answer>;
/** Sends a file. @param {Upload} file @returns {Promise<Answer>} */
declare const upload: (file: Upload) => Promise<Answer>;
/** Fetches a file; tempFilePath is where it is. @param {{url: string, timeout?: number}} file @returns {Promise<Answer>} */
declare const download: (file: {
  url: string;
  timeout?: number;
}) => Promise<Answer>;
/** @param {{url: string, protocols?: string[]}} socket @returns {Promise<WechatMiniprogram.SocketTask>} */
declare function connectSocket(socket: {
  url: string;
  protocols?: string[];
}): Promise<WechatMiniprogram.SocketTask>;
/** Binds the phone of <button open-type="getPhoneNumber">. @param {Sealed} detail e.detail of its event */
declare function bindPhone(detail: Sealed): Promise<any>;
/**
 * Opens what WeChat sealed with the session_key, which never leaves the gateway.
 * @param {Sealed | (() => Promise<Sealed>)} source a function such as () => wx.getWeRunData() is called with a key that
 * is known to be good, and a second time when the gateway's was stale @returns {Promise<any>}
 */
declare function decrypt(source: Sealed | (() => Promise<Sealed>)): Promise<any>;
/** Asks the gateway; without a network the stored token counts. @returns {Promise<boolean>} */
declare function checkLoginStatus(): Promise<boolean>;
/** Ends the session at the gateway, then here. @param {{all?: boolean}} [which] @returns {Promise<boolean>} whether the gateway knows */
declare function logout(which?: {
  all?: boolean;
}): Promise<boolean>;
