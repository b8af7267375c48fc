package strictyaml

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wxgate/input"
)

// exampleConfig has the shapes of gateway.yaml: sections, lists, maps of sections, short forms, types of their own.
type exampleConfig struct {
	Server    exampleServer              `yaml:"server"`
	WeChat    exampleWeChat              `yaml:"wechat"`
	Authn     exampleAuthn               `yaml:"authn"`
	Identity  exampleIdentity            `yaml:"identity"`
	Upstreams map[string]exampleUpstream `yaml:"upstreams"`
	Routes    []exampleRoute             `yaml:"routes"`
	Tracing   *exampleTracing            `yaml:"tracing"`
	Internal  string                     // without a tag: out of a file's reach
}

type exampleServer struct {
	Listen    string      `yaml:"listen"`
	BodyLimit exampleSize `yaml:"body_limit"`
	Compress  bool        `yaml:"compress"`
	Admin     string      `yaml:"admin,omitempty"`
}

type exampleWeChat struct {
	AppID   string          `yaml:"appid"`
	Secret  string          `yaml:"secret"`
	Timeout time.Duration   `yaml:"timeout"`
	Apps    []exampleWeChat `yaml:"apps"`
}

type exampleAuthn struct {
	TokenTTL time.Duration `yaml:"token_ttl"`
	Leeway   time.Duration `yaml:"leeway"`
}

type exampleIdentity struct {
	Headers map[string]string `yaml:"headers"`
}

type exampleUpstream struct {
	Targets  []exampleTarget `yaml:"targets"`
	Balance  string          `yaml:"balance"`
	Retries  exampleRetries  `yaml:"retries"`
	Timeouts exampleTimeouts `yaml:"timeouts"`
}

type exampleRetries struct {
	Attempts int `yaml:"attempts"`
}

type exampleTimeouts struct {
	Connect  time.Duration `yaml:"connect"`
	Response time.Duration `yaml:"response"`
}

type exampleTarget struct {
	URL    string `yaml:"url"`
	Weight int    `yaml:"weight"`
}

type exampleRoute struct {
	Path     string         `yaml:"path"`
	Methods  []string       `yaml:"methods"`
	Upstream string         `yaml:"upstream"`
	Respond  exampleRespond `yaml:"respond"`
}

type exampleRespond struct {
	Status uint16 `yaml:"status"`
}

type exampleTracing struct {
	OTLP   string  `yaml:"otlp"`
	Sample float64 `yaml:"sample"`
}

type exampleSize int

func (s *exampleSize) UnmarshalText(text []byte) error {
	number, mebibytes := strings.CutSuffix(string(text), "MiB")
	n, err := strconv.Atoi(number)
	if err != nil || !mebibytes {
		return fmt.Errorf("%q is not a size such as 4MiB", text)
	}
	*s = exampleSize(n << 20)
	return nil
}

func (u *exampleUpstream) SetDefaults() {
	u.Balance = "p2c"
	u.Timeouts = exampleTimeouts{Connect: time.Second, Response: 30 * time.Second}
}

func (u *exampleUpstream) UnmarshalText(text []byte) error {
	target := exampleTarget{Weight: 1}
	u.Targets = []exampleTarget{target}
	return u.Targets[0].UnmarshalText(text)
}

func (t *exampleTarget) SetDefaults() { t.Weight = 1 }

func (t *exampleTarget) UnmarshalText(text []byte) error {
	address, err := url.Parse(string(text))
	if err != nil || !strings.HasPrefix(address.Scheme, "http") {
		return fmt.Errorf("%q is not an http or https URL", text)
	}
	t.URL = string(text)
	return nil
}

func (t *exampleTracing) SetDefaults() { t.Sample = 0.05 }

func exampleDefaults() *exampleConfig {
	return &exampleConfig{
		Server:   exampleServer{Listen: ":8080", BodyLimit: 4 << 20, Compress: true},
		WeChat:   exampleWeChat{Timeout: 3 * time.Second},
		Authn:    exampleAuthn{TokenTTL: 168 * time.Hour, Leeway: 5 * time.Second},
		Identity: exampleIdentity{Headers: map[string]string{"X-User-Id": "id"}},
	}
}

func (c *exampleConfig) validate() (f input.Faults) {
	for name, u := range c.Upstreams {
		f = append(f, u.validate().At("upstreams."+name)...)
	}
	for i, r := range c.Routes {
		if r.Upstream == "" && r.Respond.Status == 0 {
			f.Add(fmt.Sprintf("routes[%d]", i), "names no upstream")
		}
	}
	return f
}

func (u exampleUpstream) validate() (f input.Faults) {
	if u.Balance == "p2" {
		f.Add("balance", "%q is not one of round_robin, p2c, hash(user)", u.Balance)
	}
	return f
}
