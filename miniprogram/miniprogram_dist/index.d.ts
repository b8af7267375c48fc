// From utils/, by scripts/build.mjs
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
declare function configure(changes: Options): void;
declare function getLocalToken(): string;
declare function getLocalUserInfo(): User | null;
declare function wechatLogin(profile?: Profile): Promise<Login>;
declare function refreshToken(): Promise<string>;
declare function request(wanted: Request): Promise<Answer>;
declare const upload: (file: Upload) => Promise<Answer>;
declare const download: (file: {
  url: string;
  timeout?: number;
}) => Promise<Answer>;
declare function connectSocket(socket: {
  url: string;
  protocols?: string[];
}): Promise<WechatMiniprogram.SocketTask>;
declare function bindPhone(detail: Sealed): Promise<any>;
declare function decrypt(source: Sealed | (() => Promise<Sealed>)): Promise<any>;
declare function checkLoginStatus(): Promise<boolean>;
declare function logout(which?: {
  all?: boolean;
}): Promise<boolean>;
