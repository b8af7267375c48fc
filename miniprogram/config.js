// Where the gateway is, for each version of the mini-program. The domains of trial and release must be https and be
// entered in the console: 开发管理 → 开发设置 → 服务器域名 (request, uploadFile, downloadFile, socket).

/** @type {Record<string, import('./utils/transport').Options>} */
module.exports = {
  develop: { baseUrl: 'http://127.0.0.1:8080' },
  trial: { baseUrl: 'https://gateway-test.example.com' },
  release: { baseUrl: 'https://gateway.example.com' },
};
