package e2e

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// TestTheGatewaySpeaksHTTP2 serves what it serves over HTTP/1.1.
func TestTheGatewaySpeaksHTTP2(t *testing.T) {
	t.Parallel()
	w := newSecureWorld(t)
	w.speakHTTP2()
	w.serveSecurely()
	token := w.login("alice")
	w.want("over HTTP/2", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	if got := w.call("GET", "/whoami", token, ""); !strings.Contains(got.body, `https`) {
		t.Errorf("the service does not hear of https: %s", got.body)
	}
	out, err := exec.Command("curl", "-sSk", "--http2", "-i", "--connect-to", "api.test:443:"+w.address(), "https://api.test/healthz").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "HTTP/2 200") {
		t.Errorf("curl: %v\n%s", err, out)
	}
	out, err = exec.Command("node", "-e", nodeClient, "https://"+w.address(), token).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "200 200 401" {
		t.Errorf("node: %v\n%s", err, out)
	}
	if code := w.stop(t); code != 0 {
		t.Errorf("stopped with %d", code)
	}
	if said := w.output.String(); !strings.Contains(said, `"http_version":"2.0"`) || strings.Contains(said, `"http_version":"1.1"`) {
		t.Errorf("the log does not say which requests came over HTTP/2:\n%s", said)
	}
}

// speakHTTP2 lets the client of the world offer HTTP/2.
func (w *secureWorld) speakHTTP2() {
	transport := w.transport(w.authority.Pool())
	transport.ForceAttemptHTTP2 = true
	w.client.Transport = transport
}

// nodeClient sends three requests at once on one connection.
const nodeClient = `
const client = require("http2").connect(process.argv[1], { rejectUnauthorized: false, servername: "api.test" });
const get = (path, token) => new Promise((resolve, reject) => {
	const stream = client.request({ ":path": path, ...(token && { authorization: "Bearer " + token }) });
	stream.on("response", (headers) => { stream.resume(); stream.on("end", () => resolve(headers[":status"])); });
	stream.on("error", reject);
});
const token = process.argv[2];
Promise.all([get("/healthz"), get("/api/v1/recipes", token), get("/api/v1/user/profile", "x")])
	.then((codes) => { console.log(codes.join(" ")); client.close(); });
`
