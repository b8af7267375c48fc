package wechat

import (
	"net/url"
	"testing"
	"time"

	"wxgate/secret"
)

// The vectors of the page "消息推送": Token AAAAA, an EncodingAESKey of 43 letters A.
const (
	pageToken  = "AAAAA"
	pageKey    = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	pageAppID  = "wxba5fad812f8e6fb9"
	pageSealed = "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
	pageOpened = `{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}`

	platformAppID  = "wx134c8103faa5a59e" // of a third-party platform, whose format is XML
	platformSealed = "D7yzvUNAL930rd28wf21s4hvXhz0L6Uit/p2Di6C5DHyYGpEgdBRnKjBec34JwoQXicwaZC7fOVihW80F4VtsdvE//1vr7oAbqjDv8KenVp+ajKYpJnyQ4zMRhIC+a31fCVOMC03FfzV/QuC94kBP55a+Za3sJgvAn+ZbsNqZI5DkyuzkhQN8OBqCzFhizGmy0xpM0MEA4agpvE+RuNO1rhHTtuJB5yltw1FiYzecSXJ+y/D2r81VkRn2eYjh2ltsoyfbDR7Is6ookXIFxTfyeNyeHxMeT4KN5WpCDmSbTcUYrbBUlkGLJ9n/rU8YOywma6G7aTb7KZKOqCxgfoUlYEZPk4FUL/TK7ShriFDMVCLyjQJ15Ob++agDWtcxhfUfe6HIoIpRW8mKNBQiY/Jd1svvuskA1wLef1RTtzKfMpagSCX/laZINmdnX4zrF6kIaR9P4xQrWXbsTFHTYe0Mg=="
)

func TestTheVectorsOfThePageAreOpened(t *testing.T) {
	t.Parallel()
	sealed, platform := newVectorPush(t, pageAppID, pageKey), newVectorPush(t, platformAppID, pageKey)
	query := url.Values{
		"signature": {"6c5c811b55cc85e0e1b54100749188c20beb3f5d"}, "timestamp": {"1714112445"}, "nonce": {"415670741"},
		"encrypt_type": {"aes"}, "msg_signature": {"046e02f8204d34f8ba5fa3b1db94908f3df2e9b3"},
	}
	if got, err := sealed.Open(query, []byte(`{"ToUserName":"gh_97417a04a28d","Encrypt":"`+pageSealed+`"}`)); err != nil || string(got.Body) != pageOpened || got.ContentType != jsonType {
		t.Errorf("JSON: %q as %s, %v", got.Body, got.ContentType, err)
	}
	query = url.Values{
		"timestamp": {"1715943329"}, "nonce": {"1590219412"}, "encrypt_type": {"aes"}, "msg_signature": {"6c12a4205838198b8fa631b3220723bb07f1015c"},
	}
	got, err := platform.Open(query, []byte("<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName><Encrypt><![CDATA["+platformSealed+"]]></Encrypt></xml>"))
	if err != nil || len(got.Body) != 292 || got.ContentType != xmlType {
		t.Errorf("XML: %d bytes as %s, %v", len(got.Body), got.ContentType, err)
	}
	plain := newVectorPush(t, pageAppID, "")
	query = url.Values{"signature": {"f464b24fc39322e44b38aa78f5edd27bd1441696"}, "timestamp": {"1714036504"}, "nonce": {"1514711492"}, "echostr": {"4375120948345356249"}}
	for _, p := range []*Push{plain, sealed} {
		if echo, err := p.Echo(query); err != nil || echo != "4375120948345356249" {
			t.Errorf("the check of the address: %q, %v", echo, err)
		}
	}
	query = url.Values{"signature": {"899cf89e464efb63f54ddac96b0a0a235f53aa78"}, "timestamp": {"1714037059"}, "nonce": {"486452656"}}
	if _, err := plain.Open(query, []byte(pageOpened)); err != nil {
		t.Errorf("plain: %v", err)
	}
}

func newVectorPush(t *testing.T, appID string, key secret.Text) *Push {
	t.Helper()
	p, err := NewPush(appID, pageToken, key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTheVectorsOfRepliesAreSealed byte for byte. The CDATA of the second is malformed on the page.
func TestTheVectorsOfRepliesAreSealed(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ appID, random, nonce, message, encrypt, signature, body string }{
		"JSON": {
			pageAppID, "707722b803182950", "415670741", `{"demo_resp":"good luck"}`,
			"ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==", "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1",
			`{"Encrypt":"ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==","MsgSignature":"1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1","Nonce":"415670741","TimeStamp":1713424427}`,
		},
		"XML": {
			platformAppID, "999951349e8ee746", "415670741", "<xml><demo_resp>[CDATA[good luck]]</demo_resp></xml>",
			"hE8R6mGXHkJJjU72KxzKUd1GEkKJaEZq7vRL8XgK3o+00k8JGq6+pZJUIlTSyhsX+bxIBQ72g3GyvDdIZcr6+3HAZbSvPT9t/o11MI7d6WELwqrGd7jMnV0zv3Zc9Nq7", "03e0812039325c2712ef5f0f980fd14c70d6e307",
			"<xml><Encrypt><![CDATA[hE8R6mGXHkJJjU72KxzKUd1GEkKJaEZq7vRL8XgK3o+00k8JGq6+pZJUIlTSyhsX+bxIBQ72g3GyvDdIZcr6+3HAZbSvPT9t/o11MI7d6WELwqrGd7jMnV0zv3Zc9Nq7]]></Encrypt><MsgSignature><![CDATA[03e0812039325c2712ef5f0f980fd14c70d6e307]]></MsgSignature><TimeStamp>1713424427</TimeStamp><Nonce><![CDATA[415670741]]></Nonce></xml>",
		},
	} {
		got, err := newVectorPush(t, row.appID, pageKey).sealWith([]byte(row.random), row.nonce, []byte(row.message), time.Unix(1713424427, 0))
		if err != nil || got.Encrypt != row.encrypt || got.Signature != row.signature {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		body := got.JSON()
		if name == "XML" {
			body = got.XML()
		}
		if string(body) != row.body {
			t.Errorf("%s: the body is\n%s\nwant\n%s", name, body, row.body)
		}
	}
}
