package doctor

import (
	"errors"
	"fmt"
	"time"

	"wxgate/config"
)

// The patience of whoever waits for the gateway.
const (
	requestPatience   = 60 * time.Second // wx.request, unless it is given a timeout
	containerPatience = 15 * time.Second // callContainer, always
	pushBudget        = 4500 * time.Millisecond
)

// timeoutFindings compare the timeouts with each other and with the patience of clients: whoever stands behind must give up first.
func timeoutFindings(cfg config.Config) []Finding {
	findings := []Finding{requestTimeouts(cfg), loginTimeout(cfg)}
	if len(cfg.WeChat.PushUpstreams()) > 0 {
		findings = append(findings, pushTimeouts(cfg))
	}
	return findings
}

// patience is how long a client waits, and how it calls.
func clientPatience(cfg config.Config) (wait time.Duration, by string) {
	if cfg.WeChat.CloudRun {
		return containerPatience, "callContainer"
	}
	return requestPatience, "wx.request"
}

// requestTimeouts holds those of requests against the patience of clients.
func requestTimeouts(cfg config.Config) Finding {
	wait, by := clientPatience(cfg)
	f := Finding{About: "timeouts of requests"}
	late := func(d time.Duration) bool { return d > wait || d == wait && cfg.WeChat.CloudRun }
	var longer []string
	for i, r := range cfg.Routes {
		if r.WeChatPay.IsZero() && late(r.Timeout) {
			longer = append(longer, fmt.Sprintf("routes[%d] (%s) %v", i, r.Path, r.Timeout))
		}
	}
	request := cfg.Server.Timeouts.Request
	f.Advice = fmt.Sprintf("server.timeouts.request is %v, and %s waits %v", request, by, wait)
	switch {
	case late(request):
		f.Err, f.Advice = errors.New(f.Advice), fmt.Sprintf("set it to %v, so that clients get an answer and services stop", wait-time.Second)
	case len(longer) > 0 && cfg.WeChat.CloudRun:
		f.Err, f.Advice = fmt.Errorf("callContainer waits %v: %s", wait, few(longer, ", ")), fmt.Sprintf("set timeout there to %v or less, or answer at once and let clients ask again", wait-time.Second)
	case len(longer) > 0:
		f.Advice += "; where a route has longer, clients need a timeout of their own in wx.request: " + few(longer, ", ")
	}
	return f
}

// loginTimeout holds the wait for WeChat against that for a login: before its exchange one may wait for half of the timeout.
func loginTimeout(cfg config.Config) Finding {
	wait, by := clientPatience(cfg)
	if request := cfg.Server.Timeouts.Request; request < wait {
		wait, by = request, "server.timeouts.request"
	}
	f := Finding{About: "timeout of logins"}
	longest := cfg.WeChat.Timeout * 3 / 2
	f.Advice = fmt.Sprintf("a login waits %v for WeChat at most (wechat.timeout %v and its queue), and %s ends it after %v", longest, cfg.WeChat.Timeout, by, wait)
	if longest >= wait {
		f.Err, f.Advice = errors.New(f.Advice), fmt.Sprintf("set wechat.timeout to %v or less", (wait*3/5).Truncate(time.Second/10))
	}
	return f
}

// pushTimeouts holds what a pushed message may wait for against the 5 s of WeChat, of which the gateway uses 4.5.
func pushTimeouts(cfg config.Config) Finding {
	f := Finding{About: "timeouts of pushes"}
	f.Advice = "WeChat waits 5 s for an answer, for mini-games and Apple's refunds 3 s; services have 4.5 s and 2.7 s of it"
	for _, app := range cfg.WeChat.Each() {
		connect := cfg.Upstreams[app.Push.Upstream].Timeouts.Connect
		switch {
		case app.Push.Upstream == "":
		case connect >= pushBudget:
			f.Err = fmt.Errorf("WeChat waits 5 s for an answer, and upstreams.%s.timeouts.connect is %v", app.Push.Upstream, connect)
			f.Advice = "set it to 1s, so that another target can be tried"
		case app.Push.Token != "" && app.Push.AESKey == "" && app.VirtualPayment.Enabled() && cfg.WeChat.Timeout >= pushBudget:
			f.Err = fmt.Errorf("WeChat waits 5 s for an answer, and in plain mode it is asked first whether an order is paid, for up to %v (wechat.timeout)", cfg.WeChat.Timeout)
			f.Advice = "set wechat.timeout to 3s, or give push.aes_key and choose 安全模式"
		}
	}
	return f
}
