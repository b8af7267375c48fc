package gateway

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn/wechat/sandbox"
	"wxgate/gateway/pay"
	"wxgate/gateway/push"
	"wxgate/input"
	"wxgate/secret"
	"wxgate/upstream/upstreamtest"
)

const (
	testMchID    = "1900000001"
	testAPIv3Key = secret.Text("0123456789abcdefghijABCDEFGHIJ!#")
	payOrder     = `{"mchid":"1900000001","appid":"wx3333333333333333","out_trade_no":"A-17","trade_state":"SUCCESS","payer":{"openid":"oSecretOpenid"},"amount":{"total":12345678901234567890,"rate":1.10}}`
)

// paid is a gateway that takes notifications at /pay/notify, for a merchant.
type paid struct {
	*edge
	merchant *sandbox.Merchant
	config   pay.Config
	log      *lockedLog
}

// merchants makes one merchant for all tests: its keys take long.
var merchants = sync.OnceValues(func() (*sandbox.Merchant, error) { return sandbox.NewMerchant(testMchID, testAPIv3Key, nil) })

// merchantConfig is the section of the merchant, with its files.
func merchantConfig(t *testing.T) (*sandbox.Merchant, pay.Config) {
	t.Helper()
	merchant, err := merchants()
	if err != nil {
		t.Fatal(err)
	}
	key, certificate := filepath.Join(t.TempDir(), "pub_key.pem"), filepath.Join(t.TempDir(), "certificate.pem")
	if err := os.WriteFile(key, merchant.PublicKey(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(certificate, merchant.Certificate(), 0o600); err != nil {
		t.Fatal(err)
	}
	return merchant, pay.Config{MchID: testMchID, APIv3Key: testAPIv3Key, PublicKeys: []pay.PublicKey{{ID: merchant.PublicKeyID(), File: key}}, Certificates: []string{certificate}}
}

func paying(t *testing.T, service string, change func(*Config)) *paid {
	t.Helper()
	p := &paid{log: new(lockedLog)}
	p.merchant, p.config = merchantConfig(t)
	var keys Merchants
	p.edge = newEdgeWith(t, service, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{
			Path: "/api/pay/notify", Methods: []string{http.MethodPost}, Auth: AuthRequired, Upstream: "service", StripPrefix: "/api",
			Headers: RouteHeaders{Set: map[string]string{"X-Api-Key": "k"}}, WeChatPay: p.config,
		})
		if change != nil {
			change(cfg)
		}
		var faults input.Faults
		if keys, faults = cfg.Merchants(); len(faults) > 0 {
			t.Fatal(faults)
		}
	}, func(d *Deps) {
		d.Merchants, d.Log = keys, slog.New(slog.NewTextHandler(p.log, nil))
		d.Pushed, _ = d.Storage.(push.Store)
	})
	return p
}

// request is a notification as it is sent.
func (p *paid) request(t *testing.T, n sandbox.Notification) string {
	t.Helper()
	fields, body, err := p.merchant.Sign(n)
	if err != nil {
		t.Fatal(err)
	}
	return rawNotification(fields, body)
}

func rawNotification(fields http.Header, body []byte) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		lines = append(lines, name+": "+fields.Get(name))
	}
	return head("POST /api/pay/notify", "", append(lines, fmt.Sprintf("Content-Length: %d", len(body)))...) + string(body)
}

// outcome is how many notifications had one.
func (p *paid) outcome(t *testing.T, outcome string) float64 {
	t.Helper()
	return p.count(t, "wxgate_pay_notifications_total", "outcome", outcome)
}

func TestANotificationIsOpenedAndDeliveredOnce(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	p := paying(t, service.URL, nil)
	forged := "X-User-Id: 7\r\nX-Wx-Openid: o\r\nX-Wxgate-Repeat: possible\r\nIdempotency-Key: mine\r\nCookie: a=b\r\nContent-Length"
	for i, byCertificate := range []bool{false, true, false} {
		n := sandbox.Notification{ID: fmt.Sprintf("EV-%d", i), Resource: json.RawMessage(payOrder), ByCertificate: byCertificate}
		request := strings.Replace(p.request(t, n), "/notify ", "/notify?out_trade_no=other ", 1) // which nobody signed
		resp, body := p.send(t, strings.Replace(request, "Content-Length", forged, 1))
		if resp.StatusCode != http.StatusNoContent || body != "" {
			t.Fatalf("time %d: %d %s, want 204 without a body", i+1, resp.StatusCode, body)
		}
	}
	requests := service.Requests()
	if len(requests) != 1 {
		t.Fatalf("the service got %d requests, want 1", len(requests))
	}
	got := requests[0]
	var envelope struct {
		ID       string          `json:"id"`
		Event    string          `json:"event_type"`
		Resource json.RawMessage `json:"resource"`
	}
	if err := json.Unmarshal(got.Body, &envelope); err != nil || string(envelope.Resource) != payOrder || envelope.ID != "EV-0" || envelope.Event != "TRANSACTION.SUCCESS" {
		t.Errorf("%v: the service got %s", err, got.Body)
	}
	if got.Method != "POST" || got.Target != "/pay/notify" {
		t.Errorf("the service got %s %s", got.Method, got.Target)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "X-Api-Key": "k", "X-Wxgate-Appid": testAppID,
		"X-User-Id": "", "X-Wx-Openid": "", "X-Wxgate-Repeat": "", "Cookie": "", "Wechatpay-Signature": "",
	} {
		if values := got.Values(name); got.Field(name) != want || len(values) > 1 {
			t.Errorf("the service got %s %q, want %q", name, values, want)
		}
	}
	if keys := got.Values("Idempotency-Key"); len(keys) != 1 || len(keys[0]) != 64 {
		t.Errorf("the service got the keys %q, want one of 64 digits", keys)
	}
	if d, r := p.outcome(t, "delivered"), p.outcome(t, "repeated"); d != 1 || r != 2 {
		t.Errorf("%v delivered and %v repeated, want 1 and 2", d, r)
	}
	if log := p.log.String(); strings.Contains(log, "oSecretOpenid") || strings.Contains(log, "A-17") || strings.Contains(log, testAPIv3Key.Reveal()) {
		t.Errorf("the log has what nobody is to read:\n%s", log)
	}
}

func TestARefusedNotificationIsAFailureThatNamesNothing(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	p := paying(t, service.URL, nil)
	valid := func() sandbox.Notification { return sandbox.Notification{Resource: json.RawMessage(payOrder)} }
	mistaken := func(mistake string) string {
		n := valid()
		n.Mistake = mistake
		return p.request(t, n)
	}
	without := func(name string) string {
		fields, body, _ := p.merchant.Sign(valid())
		fields.Del(name)
		return rawNotification(fields, body)
	}
	with := func(name, value string) string {
		fields, body, _ := p.merchant.Sign(valid())
		fields.Set(name, value)
		return rawNotification(fields, body)
	}
	sealed := func(resource string) string {
		n := valid()
		n.Resource = json.RawMessage(resource)
		return p.request(t, n)
	}
	for name, c := range map[string]struct {
		request, outcome string
		status           int
	}{
		"wrong on purpose":      {mistaken(sandbox.MistakeProbe), "signtest", 403},
		"forged":                {mistaken(sandbox.MistakeForged), "forged", 403},
		"altered":               {mistaken(sandbox.MistakeAltered), "forged", 403},
		"old":                   {mistaken(sandbox.MistakeStale), "stale", 403},
		"from the future":       {with("Wechatpay-Timestamp", fmt.Sprint(time.Now().Unix()+360)), "stale", 403},
		"another serial":        {mistaken(sandbox.MistakeSerial), "unknown_serial", 403},
		"a key of another kind": {with("Wechatpay-Serial", p.merchant.Serial()), "forged", 403},
		"another seal":          {mistaken(sandbox.MistakeSealed), "unopened", 403},
		"no signature":          {without("Wechatpay-Signature"), "malformed", 400},
		"no nonce":              {without("Wechatpay-Nonce"), "malformed", 400},
		"no serial":             {without("Wechatpay-Serial"), "malformed", 400},
		"no timestamp":          {without("Wechatpay-Timestamp"), "malformed", 400},
		"no number":             {with("Wechatpay-Timestamp", "now"), "malformed", 400},
		"no base64":             {with("Wechatpay-Signature", "***"), "forged", 403},
		"another algorithm":     {with("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"), "malformed", 400},
		"twice a nonce":         {strings.Replace(p.request(t, valid()), "Wechatpay-Nonce", "Wechatpay-Nonce: x\r\nWechatpay-Nonce", 1), "malformed", 400},
		"another merchant":      {sealed(strings.Replace(payOrder, testMchID, "1900000002", 1)), "other_merchant", 403},
		"no merchant":           {sealed(`{"out_trade_no":"1","trade_state":"SUCCESS"}`), "other_merchant", 403},
		"no object":             {sealed(`["a"]`), "unopened", 403},
		"nothing":               {head("POST /api/pay/notify", "", "Content-Length: 0"), "malformed", 400},
	} {
		before := p.outcome(t, c.outcome)
		resp, body := p.send(t, c.request)
		var told struct{ Code, Message string }
		if err := json.Unmarshal([]byte(body), &told); err != nil || resp.StatusCode != c.status || told.Code != "FAIL" || told.Message == "" {
			t.Errorf("%s: %d %s, want %d and FAIL", name, resp.StatusCode, body, c.status)
		}
		if n := p.outcome(t, c.outcome) - before; n != 1 {
			t.Errorf("%s: %v are counted as %s, want 1", name, n, c.outcome)
		}
	}
	log := p.log.String()
	for _, outcome := range []string{"forged", "stale", "unknown_serial", "unopened", "other_merchant"} {
		if !strings.Contains(log, "reason="+outcome) {
			t.Errorf("the log does not warn of %s:\n%s", outcome, log)
		}
	}
	if !strings.Contains(log, "2099010100000000") {
		t.Errorf("the log does not name the serial that is unknown:\n%s", log)
	}
	if strings.Contains(log, "signtest") || strings.Contains(log, "reason=malformed") || strings.Contains(log, "A-17") || strings.Contains(log, testAPIv3Key.Reveal()) {
		t.Errorf("the log has what it should not:\n%s", log)
	}
	if n := len(service.Requests()); n != 0 {
		t.Errorf("the service got %d of them", n)
	}
}

func TestAForgedHeadIsRefusedBeforeTheBodyComes(t *testing.T) {
	t.Parallel()
	p := paying(t, upstreamtest.Refused(t), nil)
	for _, mistake := range []string{sandbox.MistakeProbe, sandbox.MistakeStale, sandbox.MistakeSerial} {
		whole := p.request(t, sandbox.Notification{Mistake: mistake})
		onlyHead, _, _ := strings.Cut(whole, "\r\n\r\n")
		if resp, body := p.send(t, onlyHead+"\r\n\r\n"); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %s before a body, want 403", mistake, resp.StatusCode, body)
		}
	}
	long := rawNotification(http.Header{}, bytes.Repeat([]byte{'a'}, pay.MaxBody+1))
	if resp, body := p.send(t, long); resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.HasPrefix(body, `{"code":"FAIL",`) {
		t.Errorf("%d %s for a body that is too long, want 413", resp.StatusCode, body)
	}
}

func TestWhatTheServiceDidNotTakeComesAgainAsARepetition(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		if asked.Add(1) == 1 {
			return "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
	})
	p := paying(t, service.URL, nil)
	for i, want := range []int{http.StatusBadGateway, http.StatusNoContent, http.StatusNoContent} {
		resp, body := p.send(t, p.request(t, sandbox.Notification{Resource: json.RawMessage(payOrder)}))
		if resp.StatusCode != want || want != http.StatusNoContent && !strings.HasPrefix(body, `{"code":"FAIL",`) {
			t.Errorf("time %d: %d %s, want %d", i+1, resp.StatusCode, body, want)
		}
	}
	requests := service.Requests()
	if len(requests) != 2 || requests[0].Field("X-Wxgate-Repeat") != "" || requests[1].Field("X-Wxgate-Repeat") != "possible" ||
		requests[0].Field("Idempotency-Key") != requests[1].Field("Idempotency-Key") {
		t.Errorf("the service got %d requests: %v", len(requests), requests)
	}
	if p.outcome(t, "failed") != 1 || p.outcome(t, "delivered") != 1 {
		t.Errorf("%v failed and %v delivered, want 1 and 1", p.outcome(t, "failed"), p.outcome(t, "delivered"))
	}
}

func TestAServiceThatIsDownOrSilentMakesWeChatPayRetry(t *testing.T) {
	t.Parallel()
	down := paying(t, upstreamtest.Refused(t), nil)
	if resp, body := down.send(t, down.request(t, sandbox.Notification{})); resp.StatusCode != http.StatusBadGateway || !strings.HasPrefix(body, `{"code":"FAIL",`) {
		t.Errorf("down: %d %s, want 502", resp.StatusCode, body)
	}
	silent := upstreamtest.HTTP(t, func(upstreamtest.Request) string { <-t.Context().Done(); return "" })
	slow := paying(t, silent.URL, func(cfg *Config) { cfg.Routes[len(cfg.Routes)-1].Timeout = 900 * time.Millisecond })
	if resp, body := slow.send(t, slow.request(t, sandbox.Notification{})); resp.StatusCode != http.StatusGatewayTimeout || !strings.HasPrefix(body, `{"code":"FAIL",`) {
		t.Errorf("silent: %d %s, want 504", resp.StatusCode, body)
	}
	if n := len(silent.Requests()); n != 1 {
		t.Errorf("a silent service got it %d times within an attempt, want once", n)
	}
}

// TestWhatMayHaveArrivedIsNotSentAgainWithinAnAttempt ends a kept connection, and a new one, when a notification has arrived.
func TestWhatMayHaveArrivedIsNotSentAgainWithinAnAttempt(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		for in := bufio.NewReader(conn); ; {
			if _, err := upstreamtest.ReadRequest(in); err != nil {
				return
			}
			if arrived.Add(1) > 1 {
				upstreamtest.Reset(conn)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	p := paying(t, service.URL, nil)
	for i, want := range []int{http.StatusNoContent, http.StatusBadGateway, http.StatusBadGateway} {
		if resp, body := p.send(t, p.request(t, sandbox.Notification{})); resp.StatusCode != want {
			t.Errorf("notification %d: %d %s, want %d", i+1, resp.StatusCode, body, want)
		}
		if n := arrived.Load(); n != int32(i+1) {
			t.Errorf("after notification %d the service has got %d requests", i+1, n)
		}
	}
}

func TestTwoConnectionsAtATimeDeliverOnce(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		upstreamtest.Dawdle(200 * time.Millisecond)
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	})
	p := paying(t, service.URL, nil)
	var all sync.WaitGroup
	for range 5 {
		request := p.request(t, sandbox.Notification{Resource: json.RawMessage(payOrder)})
		all.Go(func() {
			if resp, body := p.send(t, request); resp.StatusCode != http.StatusNoContent {
				t.Errorf("%d %s, want 204", resp.StatusCode, body)
			}
		})
	}
	all.Wait()
	if n := len(service.Requests()); n != 1 {
		t.Errorf("the service got it %d times, want once", n)
	}
}

func TestOrdersRefundsAndOthersHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	p := paying(t, service.URL, nil)
	for _, n := range []struct{ event, resource string }{
		{"TRANSACTION.SUCCESS", `{"mchid":"1900000001","out_trade_no":"1","trade_state":"SUCCESS"}`},
		{"TRANSACTION.SUCCESS", `{"mchid":"1900000001","out_trade_no":"1","trade_state":"REFUND"}`},
		{"TRANSACTION.SUCCESS", `{"mchid":"1900000001","out_trade_no":"2","trade_state":"SUCCESS"}`},
		{"TRANSACTION.SUCCESS", `{"sp_mchid":"1900000001","sub_mchid":"1900000002","out_trade_no":"1","trade_state":"SUCCESS"}`},
		{"TRANSACTION.SUCCESS", `{"combine_mchid":"1900000001","combine_out_trade_no":"1","sub_orders":[{"mchid":"1900000002","out_trade_no":"2"}]}`},
		{"TRANSACTION.SUCCESS", `{"sp_mchid":"1900000009","sub_mchid":"1900000001","out_trade_no":"1","trade_state":"SUCCESS"}`},
		{"REFUND.SUCCESS", `{"mchid":"1900000001","out_trade_no":"1","out_refund_no":"1","refund_status":"SUCCESS"}`},
		{"REFUND.CLOSED", `{"mchid":"1900000001","out_trade_no":"1","out_refund_no":"1","refund_status":"CLOSED"}`},
		{"REFUND.SUCCESS", `{"mchid":"1900000001","out_trade_no":"1","out_refund_no":"2","refund_status":"SUCCESS"}`},
		{"PAYSCORE.USER_OPEN_SERVICE", `{"mchid":"1900000001"}`},
		{"COMPLAINT.CREATE", `{"complaint_id":"1"}`},
	} {
		for range 2 { // a repetition has the same id, unless it is of the same order
			if resp, body := p.send(t, p.request(t, sandbox.Notification{ID: n.event + n.resource[:20], Event: n.event, Resource: json.RawMessage(n.resource)})); resp.StatusCode != http.StatusNoContent {
				t.Errorf("%s: %d %s", n.resource, resp.StatusCode, body)
			}
		}
	}
	keys := map[string]bool{}
	for _, req := range service.Requests() {
		keys[req.Field("Idempotency-Key")] = true
	}
	if n := len(service.Requests()); n != 11 || len(keys) != 11 {
		t.Errorf("the service got %d requests with %d keys, want 11 and 11", n, len(keys))
	}
}

func TestTheSelfTestOfAMerchantIsAnswered(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	p := paying(t, service.URL, nil)
	if resp, body := p.send(t, p.request(t, sandbox.Notification{Event: "SECURITY_ECHO.SUCCESS", Resource: json.RawMessage(`{"echo_message":"hello"}`)})); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s, want 204", resp.StatusCode, body)
	}
	if n := len(service.Requests()); n != 0 || p.outcome(t, "trial") != 1 {
		t.Errorf("the service got %d requests, and %v trials are counted; want none and 1", n, p.outcome(t, "trial"))
	}
}

func TestAKeyThatIsThereAlreadyIsReadForAnUnknownSerial(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	p := paying(t, service.URL, nil)
	next, err := sandbox.NewMerchant(testMchID, testAPIv3Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A platform certificate has a new serial; it stands beside the old one in the file.
	file := p.config.Certificates[0]
	if err := os.WriteFile(file, append(p.merchant.Certificate(), next.Certificate()...), 0o600); err != nil {
		t.Fatal(err)
	}
	p.merchant = next
	if resp, body := p.send(t, p.request(t, sandbox.Notification{ByCertificate: true})); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s, want 204", resp.StatusCode, body)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if resp, _ := p.send(t, p.request(t, sandbox.Notification{Mistake: sandbox.MistakeSerial})); resp.StatusCode != http.StatusForbidden {
		t.Errorf("%d for a serial that nobody knows, want 403", resp.StatusCode)
	}
	if resp, body := p.send(t, p.request(t, sandbox.Notification{ByCertificate: true})); resp.StatusCode != http.StatusNoContent {
		t.Errorf("%d %s after the file has gone, want 204 still", resp.StatusCode, body)
	}
}

func TestCloudRunVouchesForNotificationsThatNobodySigned(t *testing.T) {
	t.Parallel()
	const told = `{"returnCode":"SUCCESS","resultCode":"SUCCESS","appid":"wx3333333333333333","mchId":"1800008281","subMchId":"1900000001","outTradeNo":"A-1","totalFee":12345678901234567890}`
	service := upstreamtest.HTTP(t, func(req upstreamtest.Request) string {
		if bytes.Contains(req.Body, []byte("A-2")) {
			return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\n" + `{"errcode":-1,"errmsg":"again"}` + "\r\n0\r\n\r\n" // as Spring does
		}
		return upstreamtest.OK("application/json", `{"errcode": 0}`)
	})
	send := func(p *paid, source, body string) (int, string) {
		resp, answer := p.send(t, head("POST /api/pay/notify", "", "X-WX-SOURCE: "+source, fmt.Sprintf("Content-Length: %d", len(body)))+body)
		return resp.StatusCode, answer
	}
	p := paying(t, service.URL, func(cfg *Config) {
		cfg.CloudRun = true
		cfg.Routes[len(cfg.Routes)-1].WeChatPay = pay.Config{MchID: testMchID} // Cloud Run needs no key of the merchant
	})
	for i, c := range []struct {
		source, body string
		status       int
		answer       string
	}{
		{"wx_paycallback", told, 200, `{"errcode":0,"errmsg":"success"}`},
		{"wx_paycallback,scf", told, 200, `{"errcode":0,"errmsg":"success"}`},
		{"wx_paycallback", `{"action":"CheckContainerPath"}`, 200, "success"},
		{"wx_paycallback", strings.Replace(told, "A-1", "A-2", 1), 502, `{"code":"FAIL"`},
		{"wx_paycallback", strings.Replace(told, testMchID, "1900000002", 1), 403, `{"code":"FAIL"`},
		{"wx_paycallback", `[]`, 400, `{"code":"FAIL"`},
		{"wx_client", told, 403, `{"code":"FAIL"`},
		{"wx_client,wx_paycallback", told, 403, `{"code":"FAIL"`},
		{"wx_client\r\nX-WX-SOURCE: wx_client\r\nX-WX-SOURCES: wx_paycallback", told, 403, `{"code":"FAIL"`},
		{"", told, 403, `{"code":"FAIL"`},
	} {
		if status, answer := send(p, c.source, c.body); status != c.status || !strings.HasPrefix(answer, c.answer) {
			t.Errorf("%d: got %d %s, want %d %s", i, status, answer, c.status, c.answer)
		}
	}
	if requests := service.Requests(); len(requests) != 2 || string(requests[0].Body) != told || requests[0].Field("X-Wx-Source") != "" || requests[0].Field("Idempotency-Key") == "" {
		t.Errorf("the service got %d requests: %v", len(requests), requests)
	}
	for name, change := range map[string]func(*Config){"without wechat.cloud_run": nil, "with keys": func(cfg *Config) { cfg.CloudRun = true }} {
		if status, answer := send(paying(t, service.URL, change), "wx_paycallback", told); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s, want 400", name, status, answer)
		}
	}
}

func TestNotificationsComeOverHTTP2AndHTTP3(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	p := paying(t, service.URL, nil)
	for _, version := range p.versions(t) {
		for mistake, want := range map[string]int{"": http.StatusNoContent, sandbox.MistakeForged: http.StatusForbidden, sandbox.MistakeProbe: http.StatusForbidden} {
			got := version.send(t, p.request(t, sandbox.Notification{Mistake: mistake}))
			if got.Status != want || want == http.StatusForbidden && !strings.HasPrefix(string(got.Body), `{"code":"FAIL",`) {
				t.Errorf("%s, %q: %d %s, want %d", version.name, mistake, got.Status, got.Body, want)
			}
		}
	}
	if n := len(service.Requests()); n != 2 {
		t.Errorf("the service got %d requests, want 2", n)
	}
}

func TestARouteOfNotificationsIsNothingElse(t *testing.T) {
	t.Parallel()
	_, section := merchantConfig(t)
	good := func() Config {
		cfg := DefaultConfig()
		cfg.Upstreams = []string{"service"}
		cfg.Routes = []RouteConfig{{Path: "/pay/notify", Methods: []string{http.MethodPost}, Auth: AuthRequired, Upstream: "service", WeChatPay: section}}
		return cfg
	}
	if faults := good().Validate(); len(faults) > 0 {
		t.Errorf("a good route: %v", faults)
	}
	for path, spoil := range map[string]func(r *RouteConfig){
		"routes[0].methods":           func(r *RouteConfig) { r.Methods = nil },
		"routes[0].methods ":          func(r *RouteConfig) { r.Methods = []string{http.MethodPost, http.MethodGet} },
		"routes[0].auth":              func(r *RouteConfig) { r.Auth = AuthNone },
		"routes[0].upstream":          func(r *RouteConfig) { r.Upstream = "" },
		"routes[0].body_limit":        func(r *RouteConfig) { r.BodyLimit = 1 << 20 },
		"routes[0].token_query":       func(r *RouteConfig) { r.TokenQuery = "token" },
		"routes[0].answers":           func(r *RouteConfig) { r.Answers.RefusalStatus = "200" },
		"routes[0].respond":           func(r *RouteConfig) { r.Upstream, r.Respond = "", fixedAnswer{Status: 200} },
		"routes[0].wechat_pay.mchid":  func(r *RouteConfig) { r.WeChatPay.MchID = "" },
		"routes[0].wechat_pay.mchid ": func(r *RouteConfig) { r.WeChatPay = pay.Config{APIv3Key: testAPIv3Key} },
	} {
		cfg := good()
		spoil(&cfg.Routes[0])
		faults := cfg.Validate()
		if !slices.ContainsFunc(faults, func(f input.Fault) bool { return f.Path == strings.TrimSpace(path) }) {
			t.Errorf("%s: got %v", path, faults)
		}
	}
	alone := good()
	alone.Routes[0].WeChatPay = pay.Config{MchID: testMchID}
	if faults := alone.Validate(); len(faults) == 0 {
		t.Error("a number alone is enough without wechat.cloud_run")
	}
	if alone.CloudRun = true; len(alone.Validate()) > 0 {
		t.Errorf("a number alone, on Cloud Run: %v", alone.Validate())
	}
}

func TestOtherWaysToTheNotificationsOfAServiceAreNamed(t *testing.T) {
	t.Parallel()
	same := func(a, b string) bool { return a == b }
	notify := RouteConfig{Path: "/hooks/pay", Methods: []string{http.MethodPost}, Auth: AuthRequired, Upstream: "service", StripPrefix: "/hooks", WeChatPay: pay.Config{MchID: testMchID}}
	for name, c := range map[string]struct {
		other RouteConfig
		ways  int
	}{
		"everything":     {RouteConfig{Path: "/**", Auth: AuthNone, Upstream: "service"}, 1},
		"reading":        {RouteConfig{Path: "/**", Methods: []string{http.MethodGet}, Auth: AuthNone, Upstream: "service"}, 0},
		"another path":   {RouteConfig{Path: "/api/**", Auth: AuthNone, Upstream: "service"}, 0},
		"a prefix":       {RouteConfig{Path: "/api/**", Auth: AuthRequired, Upstream: "service", StripPrefix: "/api"}, 1},
		"another one":    {RouteConfig{Path: "/**", Auth: AuthNone, Upstream: "other"}, 0},
		"only by itself": {RouteConfig{Path: "/hooks/**", Auth: AuthNone, Upstream: "service", StripPrefix: "/hooks"}, 0},
	} {
		cfg := DefaultConfig()
		cfg.Upstreams, cfg.Routes = []string{"service", "other"}, []RouteConfig{notify, c.other}
		if path, ways := cfg.NotificationWays(notify, same); path != "/pay" || len(ways) != c.ways {
			t.Errorf("%s: %s %v, want /pay and %d", name, path, ways, c.ways)
		}
	}
}
