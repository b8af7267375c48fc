package firstfile

import (
	"cmp"
	"strings"

	"wxgate/config/strictyaml"
)

// Words are what is asked and writes, in one language.
type Words struct {
	AskAppID, AskUpstream, AskLogin, AskFront, Again string

	// What to answer, where the message about a wrong answer is in another language.
	WantAppID, WantUpstream, WantLogin, WantFront string

	header, server, listen, proxies, listenTLS, redirects, acme, cloudRunTimeouts string
	wechat, appID, secret, cloudRun, authn, keys, storage, mysql, storageKey      string
	upstreams, backend, routes, needsLogin, needsNone                             string

	written, nextVariables, nextCloudRun, nextDoctor, nextServe string
}

// LanguageOf is that of the locale: zh or en.
func LanguageOf(env strictyaml.LookupEnv) string {
	var values []string
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		value, _ := env(name)
		values = append(values, value)
	}
	if strings.HasPrefix(cmp.Or(values...), "zh") {
		return "zh"
	}
	return "en"
}

// WordsOf are those of a language, zh or en.
func WordsOf(language string) Words {
	if language == "zh" {
		return chinese()
	}
	return english()
}

func english() Words {
	return Words{
		AskAppID:    "AppID of the mini-program (mp.weixin.qq.com, 开发管理 → 开发设置)",
		AskUpstream: "Where your service listens",
		AskLogin:    "Which paths need a login, with commas between them",
		AskFront:    "What phones reach first: a domain that points here, the address of your proxy (nginx), or cloudrun",
		Again:       "Again, please:",

		header:           "The gateway in front of your services. `wxgate check` reads this file; docs/configuration.md has every key. The first line is for editors; after an upgrade: `wxgate schema > gateway.schema.json`.",
		server:           "where it listens",
		listen:           "the proxy speaks https, and passes requests on to here",
		proxies:          "the proxy: only from there X-Forwarded-For is believed",
		listenTLS:        "https",
		redirects:        "redirects to https, and proves that the domain is yours",
		acme:             "the certificate is issued and renewed by itself",
		cloudRunTimeouts: "callContainer gives up after 15 s",
		wechat:           "the mini-program",
		appID:            "no secret: it is in the mini-program, too",
		secret:           "the AppSecret stays in the environment",
		cloudRun:         "keep public access (公网访问) switched off, or anyone can be anyone",
		authn:            "tokens",
		keys:             "signs them; with another key everybody has to log in again",
		storage:          "users and sessions",
		mysql:            "the environment has MYSQL_ADDRESS, MYSQL_USERNAME and MYSQL_PASSWORD",
		storageKey:       "seals session_keys and phone numbers: openssl rand -base64 32",
		upstreams:        "your services",
		backend:          "it gets X-User-Id of whoever is logged in",
		routes:           "everything else is 404",
		needsLogin:       "needs a login; ** is the rest of the path",
		needsNone:        "anybody",

		written:       "is written, and gateway.schema.json for editors. What is next:",
		nextVariables: `export WX_SECRET=… JWT_SECRET="$(openssl rand -base64 48)"   # the AppSecret is beside the AppID; keep JWT_SECRET`,
		nextCloudRun:  "set WX_SECRET, JWT_SECRET and STORAGE_KEY in the settings of the service: docs/cloud-run.md",
		nextDoctor:    "asks WeChat whether it knows you, and looks at the rest",
		nextServe:     "runs it",
	}
}

func chinese() Words {
	return Words{
		AskAppID:    "小程序的 AppID（mp.weixin.qq.com，开发管理 → 开发设置）",
		AskUpstream: "你的服务的地址",
		AskLogin:    "哪些路径需要登录，用逗号分隔",
		AskFront:    "手机最先连到什么：指向本机的域名、代理（nginx）的地址，或 cloudrun（微信云托管）",
		Again:       "请重新输入：",

		WantAppID:    "wx 加 16 位 0 到 9、a 到 f",
		WantUpstream: "像 http://127.0.0.1:3000 这样的地址，不带路径",
		WantLogin:    "以 / 开头的路径，例如 /api/**",
		WantFront:    "域名（例如 api.example.com）、代理的 IP 地址，或 cloudrun",

		header:           "服务前面的网关。`wxgate check` 检查本文件；全部的键见 docs/zh/configuration.md。首行供编辑器补全用；升级后请运行 `wxgate schema > gateway.schema.json`。",
		server:           "监听端口",
		listen:           "代理处理 https，把请求转到这里",
		proxies:          "代理的地址：只相信它的 X-Forwarded-For",
		listenTLS:        "https",
		redirects:        "跳转到 https，并证明域名属于你",
		acme:             "证书自动申请、自动续期",
		cloudRunTimeouts: "callContainer 等待 15 秒",
		wechat:           "小程序",
		appID:            "不是秘密：小程序里也有",
		secret:           "AppSecret 留在环境变量里",
		cloudRun:         "必须关闭公网访问，否则任何人都可以冒充任何人",
		authn:            "token",
		keys:             "签发 token；换了密钥，所有人都要重新登录",
		storage:          "用户与会话",
		mysql:            "环境变量里有 MYSQL_ADDRESS、MYSQL_USERNAME、MYSQL_PASSWORD",
		storageKey:       "加密 session_key 和手机号：openssl rand -base64 32",
		upstreams:        "你的服务",
		backend:          "它会收到已登录用户的 X-User-Id",
		routes:           "其余的都返回 404",
		needsLogin:       "需要登录；** 是路径的其余部分",
		needsNone:        "任何人",

		written:       "已写好，同时写好了供编辑器用的 gateway.schema.json。接下来：",
		nextVariables: `export WX_SECRET=… JWT_SECRET="$(openssl rand -base64 48)"   # AppSecret 与 AppID 在同一页；请保存 JWT_SECRET`,
		nextCloudRun:  "在服务设置里设置环境变量 WX_SECRET、JWT_SECRET 和 STORAGE_KEY：docs/zh/cloud-run.md",
		nextDoctor:    "询问微信是否认识你，并检查其余的一切",
		nextServe:     "运行网关",
	}
}
