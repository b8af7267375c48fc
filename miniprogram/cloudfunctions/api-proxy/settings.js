/** @param {string | undefined} text @returns {URL | null} https://host or http://host:port, and no more */
function addressOf(text) {
  try {
    const url = new URL(text || '');
    return /^https?:$/.test(url.protocol) && url.href === `${url.origin}/` ? url : null;
  } catch (_) {
    return null;
  }
}

/** @param {Record<string, string | undefined>} env @param {string} name @param {number} otherwise */
function positive(env, name, otherwise) {
  const number = Number(env[name] || otherwise);
  if (!(number > 0)) throw new Error(`${name} is not a number above 0: ${env[name]}`);
  return number;
}

/**
 * What the function may reach. Set the variables in the console of the cloud environment; nothing here comes from a call.
 * @param {Record<string, string | undefined>} env
 */
function readSettings(env) {
  if (!env.WXGATE_URL) throw new Error('WXGATE_URL is not set: the address of the gateway');
  const upstream = addressOf(env.WXGATE_URL);
  if (!upstream) throw new Error('WXGATE_URL is not an address such as https://gateway.example.com, without a path');
  const prefix = env.WXGATE_PREFIX || '/api/';
  if (!prefix.startsWith('/')) throw new Error(`WXGATE_PREFIX does not begin with a /: ${prefix}`);
  return {
    upstream,
    prefix,
    timeout: positive(env, 'WXGATE_TIMEOUT_MS', 2500), // below the function's own, which is 3 s until you raise it
    largest: positive(env, 'WXGATE_LARGEST', 900 * 1024), // bytes of an answer
    secret: env.WXGATE_SECRET || '', // wechat.cloud_function_secret of the gateway; empty: calls are not signed
  };
}

module.exports = { readSettings };
