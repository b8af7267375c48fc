package issuer

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

const joe = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

// rsaOfRFC7515 is n of RFC 7515 A.2.
const rsaOfRFC7515 = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"

// TestTheSignaturesOfTheRFCsVerify takes those of RFC 7515 A.1 to A.4 and RFC 8037 A.4; each one with a bit changed does not.
func TestTheSignaturesOfTheRFCsVerify(t *testing.T) {
	t.Parallel()
	secret, err := base64.RawURLEncoding.DecodeString("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		algorithm, jwk, token string
	}{
		"RFC 7515 A.1": {"HS256", "", "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + joe + ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
		"RFC 7515 A.2": {
			"RS256", `{"kty":"RSA","e":"AQAB","n":"` + rsaOfRFC7515 + `"}`,
			"eyJhbGciOiJSUzI1NiJ9." + joe + ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
		},
		"RFC 7515 A.3": {
			"ES256", `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
			"eyJhbGciOiJFUzI1NiJ9." + joe + ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		},
		"RFC 7515 A.4": {
			"ES512", `{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}`,
			"eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
		},
		"RFC 8037 A.4": {
			"EdDSA", `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		},
	} {
		k := newKey("", "HS256", secret)
		if row.jwk != "" {
			keys, ignored, err := readSet([]byte(`{"keys":[`+row.jwk+`]}`), []string{row.algorithm})
			if err != nil || len(ignored) > 0 {
				t.Errorf("%s: %q, %v", name, ignored, err)
				continue
			}
			k = keys[0]
		}
		parsed, err := parse(row.token)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if parsed.signer([]*key{k}) != k {
			t.Errorf("%s does not verify", name)
		}
		parsed.signature[0] ^= 1
		if parsed.signer([]*key{k}) != nil {
			t.Errorf("%s verifies with another signature", name)
		}
	}
}

// TestTheSetOfRFC7517IsRead is about A.1, whose EC key is for encryption, and A.2 and A.3, which nobody may publish.
func TestTheSetOfRFC7517IsRead(t *testing.T) {
	t.Parallel()
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	const ec = `"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"`
	set := `{"keys":[{` + ec + `,"use":"enc","kid":"1"},{"kty":"RSA","n":"` + n + `","e":"AQAB","alg":"RS256","kid":"2011-04-29"},
		{` + ec + `,"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"},{"kty":"oct","alg":"A128KW","k":"GawgguFyGrWKav7AX4VKUg"}]}`
	keys, ignored, err := readSet([]byte(set), []string{"RS256", "ES256"})
	if err != nil || len(keys) != 1 || keys[0].id != "2011-04-29" || keys[0].algorithm != "RS256" {
		t.Fatalf("the keys are %+v, %v", keys, err)
	}
	for i, want := range []string{"keys[0] has a use other than sig", "keys[2] is a private key", "keys[3] is a shared secret"} {
		if len(ignored) != 3 || !strings.Contains(ignored[i], want) {
			t.Errorf("ignored are %q, want %s", ignored, want)
		}
	}
	if text := fmt.Sprint(ignored); strings.Contains(text, "870MB6") || strings.Contains(text, "Gawgg") {
		t.Errorf("a secret is in %s", text)
	}
}

func TestKeysThatNobodyShouldTrustAreIgnored(t *testing.T) {
	t.Parallel()
	const rsa, ed = `"kty":"RSA","e":"AQAB","n":"` + rsaOfRFC7515 + `"`, `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	for jwk, want := range map[string]string{
		`{` + rsa + `}`: "", `{` + ed + `,"key_ops":["sign","verify"],"x5u":"http://127.0.0.1:1/","x5c":["junk"]}`: "", `{` + rsa + `,"alg":"PS512"}`: "",
		`{` + rsa + `,"alg":"HS256"}`: "is for none of", `{` + rsa + `,"alg":"none"}`: "is for none of", `{` + rsa + `,"alg":"RS384"}`: "is for none of", `{` + ed + `,"alg":"RS256"}`: "is for none of",
		`{"kty":"RSA","e":"AQAB","n":"` + rsaOfRFC7515[:170] + `"}`:              "2048 is the least",
		`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat(rsaOfRFC7515, 5) + `"}`: "8192 the most",
		`{"kty":"RSA","e":"AQ","n":"` + rsaOfRFC7515 + `"}`:                      "exponent",
		`{"kty":"RSA","e":"AQAA","n":"` + rsaOfRFC7515 + `"}`:                    "exponent",
		`{"kty":"RSA","e":"AQAAAAAAAQAB","n":"` + rsaOfRFC7515 + `"}`:            "exponent", // 65537 in its last bytes
		`{"kty":"RSA","e":"AQAB"}`:                                               "no valid public key", `{"kty":"RSA","e":"AQAB","n":"!"}`: "no valid public key",
		`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5b0"}`:     "no valid public key",
		`{"kty":"EC","crv":"secp256k1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}`: "no valid public key",
		`{"kty":"OKP","crv":"X25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`:                                                     "wanted is an RSA, EC or Ed25519 key",
		`{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ"}`:                                                                             "shared secret", `{` + rsa + `,"k":"AyM1SysPpbyDfgZld3umj1qz"}`: "shared secret",
		`{` + ed + `,"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`: "private key",
		`{` + ed + `,"use":"enc"}`:                                       "use other", `{` + ed + `,"key_ops":["sign"]}`: "key_ops without verify",
		`{` + ed + `,"kid":"` + strings.Repeat("k", 300) + `"}`: "kid of 300", `"text"`: "no JWK", `{"kty":7}`: "no JWK", `{}`: "no valid public key", `null`: "no valid public key",
	} {
		keys, ignored, err := readSet([]byte(`{"keys":[`+jwk+`]}`), []string{"RS256", "PS512", "ES256", "EdDSA"})
		if want == "" && (err != nil || len(keys) != 1 || len(ignored) > 0) {
			t.Errorf("%s: %v, %q", jwk, err, ignored)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", jwk, err, want)
		}
	}
	for set, want := range map[string]string{
		"": "no JWK set", "<html>": "no JWK set", `{"keys":[]}`: "no key that can be used", `{}`: "no key that can be used", `[]`: "no JWK set",
		`{"keys":[` + strings.TrimSuffix(strings.Repeat(`{`+ed+`},`, 65), ",") + `]}`: "65 keys; 64 are the most",
	} {
		if _, _, err := readSet([]byte(set), []string{"EdDSA"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", set, err, want)
		}
	}
}

// TestTheSameKeyTwiceIsOneKey also has one kid for two keys: both are tried, and neither replaces the other.
func TestTheSameKeyTwiceIsOneKey(t *testing.T) {
	t.Parallel()
	const a, b = `{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`, `{"kty":"OKP","crv":"Ed25519","kid":"k","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"}`
	keys, _, err := readSet([]byte(`{"keys":[`+a+`,`+b+`,`+a+`]}`), []string{"EdDSA"})
	tried, fitting := parsed{algorithm: "EdDSA", keyID: "k"}.candidates(keys)
	if err != nil || len(keys) != 2 || len(tried) != 2 || fitting != 2 {
		t.Errorf("the keys are %+v, %v, of which %d of %d are tried", keys, err, len(tried), fitting)
	}
}
