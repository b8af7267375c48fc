-- Verifies an HS256 bearer token in nginx: the HMAC is OpenSSL's, called through LuaJIT's FFI.
local ffi = require("ffi")
local cjson = require("cjson.safe")
local decode = require("ngx.base64").decode_base64url
ffi.cdef[[
typedef struct evp_md_st EVP_MD;
const EVP_MD *EVP_sha256(void);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_len,
                    const unsigned char *d, size_t n, unsigned char *out, unsigned int *len);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
]]
local crypto = ffi.load("libcrypto.so.3")
local out = ffi.new("unsigned char[32]")
local len = ffi.new("unsigned int[1]")
local md = crypto.EVP_sha256()

return function(secret)
  local function verify(token)
    local header, payload, signature = token:match("^([^.]+)%.([^.]+)%.([^.]+)$")
    if not header then return nil end
    signature = decode(signature)
    if not signature or #signature ~= 32 then return nil end
    local signed = token:sub(1, #header + #payload + 1)
    crypto.HMAC(md, secret, #secret, signed, #signed, out, len)
    if crypto.CRYPTO_memcmp(out, signature, 32) ~= 0 then return nil end
    local decoded = cjson.decode(decode(header) or "")
    if not decoded or decoded.alg ~= "HS256" then return nil end
    local claims = cjson.decode(decode(payload) or "")
    if not claims or type(claims.exp) ~= "number" or type(claims.sub) ~= "string" then return nil end
    return claims
  end
  return function()
    local authorization = ngx.var.http_authorization
    local claims
    if authorization and authorization:sub(1, 7) == "Bearer " then claims = verify(authorization:sub(8)) end
    if not claims or claims.exp <= ngx.time() then
      ngx.status = 401
      ngx.header.content_type = "application/json"
      ngx.print('{"code":401,"message":"unauthorized","error":"Unauthorized"}')
      return ngx.exit(401)
    end
    ngx.req.set_header("X-User-Id", claims.sub)
  end
end
