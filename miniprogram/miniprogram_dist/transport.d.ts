// From utils/, by scripts/build.mjs
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
  baseUrl?: string;
  transport?: 'request' | 'container' | 'function';
  env?: string;
  service?: string;
  functionName?: string;
  cloudLogin?: boolean;
  silentLogin?: 'always' | 'unless-revoked';
  uploadPath?: string;
  timeout?: number;
};
export type Failure = Error & {
  code: number;
  reason: string;
  requestId: string;
};
declare class GatewayError extends Error {
  code: number;
  reason: string;
  requestId: string;
  constructor(code: number, reason: string, message: string, requestId?: string);
}
declare function refusal(answer: Answer): GatewayError;
declare function call(api: (options: any) => any, options: object): Promise<any>;
declare function answerOf(result: any): Answer;
declare function send(out: Outgoing, options: Options): Promise<Answer>;
