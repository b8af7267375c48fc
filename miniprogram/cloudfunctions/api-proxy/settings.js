/**
 * What the function may reach. Set the variables in the console of the cloud environment; nothing here comes from a call.
 * @param {Record<string, string | undefined>} env
 */
function readSettings(env) {
  if (!env.WXGATE_URL) throw new Error('WXGATE_URL is not set: the address of the gateway');
  return {
    upstream: new URL(env.WXGATE_URL),
    prefix: env.WXGATE_PREFIX || '/api/',
    timeout: Number(env.WXGATE_TIMEOUT_MS || 2500), // below the function's own, which is 3 s until you raise it
    largest: Number(env.WXGATE_LARGEST || 900 * 1024), // bytes of an answer
    secret: env.WXGATE_SECRET || '', // wechat.cloud_function_secret of the gateway; empty: calls are not signed
  };
}

module.exports = { readSettings };
