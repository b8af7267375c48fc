package wechat

import "time"

// Option changes what New makes.
type Option func(*options)

type options struct {
	now           func() time.Time
	store         TokenStore
	openInterface bool
}

// WithClock makes tokens age by now instead of time.Now.
func WithClock(now func() time.Time) Option { return func(o *options) { o.now = now } }

// WithTokenStore shares the access_token through store, so that replicas ask WeChat once and survive a restart with it.
func WithTokenStore(store TokenStore) Option { return func(o *options) { o.store = store } }

// WithOpenInterface is for Cloud Run's 开放接口服务, a sidecar that answers http://api.weixin.qq.com inside the container
// and adds the token itself: no call carries an access_token, none is fetched, and ServerToken returns ErrNoToken. It is
// never guessed from the URL, since the sandbox and a relay are http:// too; the caller passes it when wechat.cloud_run
// is on and base_url begins with http://.
func WithOpenInterface() Option { return func(o *options) { o.openInterface = true } }

func optionsOf(opts []Option) options {
	o := options{now: time.Now}
	for _, change := range opts {
		change(&o)
	}
	return o
}
