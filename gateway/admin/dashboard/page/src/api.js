// The admin API, as far as the page uses it: docs/api.md and docs/dashboard.md.

/**
 * What GET /api/dashboard says, and, of what does not fit into every reading, GET /api/dashboard/routes and …/config. Counts are
 * cumulative since the start, times RFC 3339.
 * @typedef {import('./series.js').Histogram} Histogram
 * @typedef {{path: string, host: string, methods: string[] | null, auth: string, to: string, requests: number, errors: number, latency: Histogram}} Route
 * @typedef {{url: string, up: boolean, in_flight: number, latency_seconds: number, ejections: number}} Target
 * @typedef {{name: string, breaker_open: boolean, queue: number, targets: Target[] | null}} Upstream
 * @typedef {{result: string, count: number}} Outcome
 * @typedef {{fault: string, values: Record<string, string>, text: string}} Fault its name, what fills the blanks of its words, and it in English
 * @typedef {{
 *   version: string, started_at: string, now: string, ready: {ok: boolean, but: Fault[] | null},
 *   traffic: {requests: number, errors: number, in_flight: number, connections: number, latency: Histogram, overhead: Histogram, upstream: Histogram},
 *   reasons: {reason: string, status: number, count: number}[] | null,
 *   slowest: Route[] | null, upstreams: Upstream[] | null,
 *   logins: Outcome[] | null, refreshes: Outcome[] | null, wechat: {api: string, errcode: string, count: number}[] | null,
 *   storage: {driver: string, place: string, bytes: number, writable: boolean},
 *   backup: {every_seconds: number, last: string, failures: number},
 *   certificates: {name: string, cert: string, expires_at: string}[] | null,
 *   reloaded_at: string,
 * }} Dashboard reloaded_at: when a configuration was last read, as the first of the reloads says
 * @typedef {{started_at: string, now: string, routes: Route[] | null}} Routes
 * @typedef {{file: string, yaml: string, reloads: {at: string, ok: boolean, error: string}[] | null}} Configuration
 *
 * @typedef {{signed_in: boolean, token_required: boolean}} Session who looks at the page
 * @typedef {{
 *   id: number, openid: string, nickname: string, avatar: string, bio: string, created_at: string, updated_at: string, appid: string,
 *   unionid: string, link?: string, linked_to?: number, accounts?: number[], banned_until: string | null, deletes_at?: string,
 * }} Account
 * @typedef {{users: Account[], next: number | null}} UserPage
 * @typedef {{id: string, user_id: number, device: string, created_at: string, refreshed_at: string, expires_at: string}} Device
 * @typedef {{sessions: Device[], next: string | null}} DevicePage
 */

/** What the gateway refused, or why it could not be asked: then status is 0 and reason is unreachable. */
export class ApiError extends Error {
  /** @param {number} status @param {{reason?: string, message?: string, detail?: string, request_id?: string}} body @param {number} retryAfter seconds, 0: unknown */
  constructor(status, body, retryAfter = 0) {
    super(body.detail || body.message || body.reason || `HTTP ${status}`);
    this.status = status;
    this.reason = body.reason ?? '';
    this.detail = body.detail ?? '';
    this.requestId = body.request_id ?? '';
    this.retryAfter = retryAfter;
  }
}

const PATIENCE = { GET: 5000, other: 30000 }; // milliseconds

/**
 * Sends a request of the page and returns the data of the answer.
 * @param {string} method @param {string} path @param {unknown} [body] sent as JSON @returns {Promise<any>} @throws {ApiError}
 */
export async function call(method, path, body) {
  const response = await send(method, path, body);
  /** @type {any} */
  const answer = await response.json().catch(() => ({ reason: response.ok ? 'unreachable' : '' }));
  if (!response.ok || answer.reason) {
    throw new ApiError(response.ok ? 0 : response.status, answer, Number(response.headers.get('Retry-After')) || 0);
  }
  return answer.data;
}

/** @param {string} method @param {string} path @param {unknown} body */
async function send(method, path, body) {
  try {
    return await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
      signal: AbortSignal.timeout(method === 'GET' ? PATIENCE.GET : PATIENCE.other),
    });
  } catch {
    throw new ApiError(0, { reason: 'unreachable' });
  }
}

/** @returns {Promise<Dashboard>} */
export const readDashboard = () => call('GET', '/api/dashboard');
/** @returns {Promise<Routes>} */
export const readRoutes = () => call('GET', '/api/dashboard/routes');
/** @returns {Promise<Configuration>} */
export const readConfiguration = () => call('GET', '/api/dashboard/config');
/** @returns {Promise<Session>} */
export const readSession = () => call('GET', '/api/dashboard/session');
/** @param {{token: string} | {code: string}} proof */
export const signIn = (proof) => call('POST', '/api/dashboard/session', proof);
export const signOut = () => call('DELETE', '/api/dashboard/session');

/** @param {Record<string, string>} query @returns {Promise<UserPage>} */
export const listUsers = (query) => call('GET', `/api/users?${new URLSearchParams(query)}`);
/** @param {number | string} id @returns {Promise<Account>} */
export const readUser = (id) => call('GET', `/api/users/${encodeURIComponent(id)}`);
/** @param {number} id @param {string} [after] @returns {Promise<DevicePage>} */
export const listDevices = (id, after) => call('GET', `/api/users/${id}/sessions${after ? `?${new URLSearchParams({ after })}` : ''}`);
/** @param {string} id of the session */
export const endSession = (id) => call('DELETE', `/api/sessions/${encodeURIComponent(id)}`);
/** @param {number} id */
export const endSessions = (id) => call('DELETE', `/api/users/${id}/sessions`);
/** @param {number} id @param {string} length such as 72h; '': without an end */
export const ban = (id, length) => call('POST', `/api/users/${id}/ban`, length ? { for: length } : {});
/** @param {number} id */
export const liftBan = (id) => call('DELETE', `/api/users/${id}/ban`);
/** @param {number} id */
export const erase = (id) => call('DELETE', `/api/users/${id}`);
