package wechat

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"wxgate/input"
	"wxgate/secret"
)

// WebKind is by which account people log in on a web page.
type WebKind string

// The kinds of accounts, as the parameter kind names them.
const (
	WebOfficialAccount WebKind = "official_account" // within WeChat
	WebWebsite         WebKind = "website"          // anywhere else, by a QR code
)

// The scopes of a login on a web page.
const (
	ScopeBase     = "snsapi_base"     // asks nobody, and tells no unionid
	ScopeUserInfo = "snsapi_userinfo" // asks the person
	ScopeLogin    = "snsapi_login"    // of a QR code
)

// WebAccount is wechat.official_account, a certified 服务号, or wechat.website, a 网站应用 of the Open Platform.
type WebAccount struct {
	AppID       string            `yaml:"appid"` // of the account on WeChat
	Secret      secret.Text       `yaml:"secret"`
	ReturnTo    []string          `yaml:"return_to"`    // the pages that a login may lead back to, each the whole URL
	VerifyFiles map[string]string `yaml:"verify_files"` // name -> content of the files by which WeChat checks the domain, served at /
}

// Enabled reports whether the section says anything.
func (a WebAccount) Enabled() bool {
	return a.AppID != "" || a.Secret != "" || len(a.ReturnTo) > 0 || len(a.VerifyFiles) > 0
}

// WebLogin is how people log in on web pages.
type WebLogin struct {
	OpenURL  string                 // https://open.weixin.qq.com
	Accounts map[WebKind]WebAccount // none: nobody does
	Profiles bool                   // the unionid is wanted, and so the scope that tells it
}

// WebLogin is that of the section. profiles says whether the unionid is wanted.
func (c Config) WebLogin(profiles bool) WebLogin {
	l := WebLogin{OpenURL: strings.TrimRight(c.OpenURL, "/"), Accounts: map[WebKind]WebAccount{}, Profiles: profiles}
	if c.OfficialAccount.AppID != "" {
		l.Accounts[WebOfficialAccount] = c.OfficialAccount
	}
	if website := c.Website; website.AppID != "" {
		if len(website.ReturnTo) == 0 {
			website.ReturnTo = c.OfficialAccount.ReturnTo
		}
		l.Accounts[WebWebsite] = website
	}
	return l
}

// Authorize is the address at WeChat where a login begins: the parameters in this order, and the fragment, are WeChat's rule.
func (l WebLogin) Authorize(kind WebKind, callback, state string) string {
	path, scope := "/connect/oauth2/authorize", ScopeBase
	switch {
	case kind == WebWebsite:
		path, scope = "/connect/qrconnect", ScopeLogin
	case l.Profiles:
		scope = ScopeUserInfo
	}
	return fmt.Sprintf("%s%s?appid=%s&redirect_uri=%s&response_type=code&scope=%s&state=%s#wechat_redirect",
		l.OpenURL, path, url.QueryEscape(l.Accounts[kind].AppID), url.QueryEscape(callback), scope, state)
}

// VerifyFiles are those of all accounts.
func (l WebLogin) VerifyFiles() map[string]string {
	all := map[string]string{}
	for _, account := range l.Accounts {
		maps.Copy(all, account.VerifyFiles)
	}
	return all
}

// Webs is the configuration of a Client for each account of web pages.
func (c Config) Webs() map[WebKind]Config {
	all := map[WebKind]Config{}
	for kind, account := range c.WebLogin(false).Accounts {
		of := c
		of.AppID, of.Secret, of.Apps, of.Push, of.VirtualPayment = account.AppID, account.Secret, nil, PushConfig{}, VirtualPaymentConfig{}
		of.OfficialAccount, of.Website = WebAccount{}, WebAccount{}
		all[kind] = of
	}
	return all
}

// reload returns a with what a running process adopts from next.
func (a WebAccount) reload(next WebAccount) WebAccount {
	a.ReturnTo, a.VerifyFiles = next.ReturnTo, next.VerifyFiles
	return a
}

// The bounds of a WebAccount.
const (
	maxReturnTo      = 32
	maxReturnToBytes = 512
	maxVerifyFiles   = 8
	maxVerifyBytes   = 1024
)

// validateWebs reports the faults of official_account and website. Accounts of one appid would mistake each other's people.
func (c Config) validateWebs(f *input.Faults) {
	appIDs := map[string]string{}
	for i, app := range c.Apps {
		appIDs[app.AppID] = fmt.Sprintf("apps[%d]", i)
	}
	if c.AppID != "" {
		appIDs[c.AppID] = "the mini-program"
	}
	files := map[string]string{}
	for _, section := range []struct {
		path string
		WebAccount
	}{{"official_account", c.OfficialAccount}, {"website", c.Website}} {
		if !section.Enabled() {
			continue
		}
		validateWord(f, section.path+".appid", section.AppID, "no variable")
		validateWord(f, section.path+".secret", section.Secret.Reveal(), "no variable")
		if other, taken := appIDs[section.AppID]; taken && section.AppID != "" {
			f.Add(section.path+".appid", "is that of %s; each account has an appid of its own", other)
		}
		appIDs[section.AppID] = section.path
		validateReturnTo(f, section.path+".return_to", section.ReturnTo)
		*f = append(*f, validateVerifyFiles(section.VerifyFiles, files).At(section.path+".verify_files")...)
	}
	for kind, account := range c.WebLogin(false).Accounts {
		if len(account.ReturnTo) == 0 {
			f.Add(string(kind)+".return_to", "is empty, so a login would lead back to no page; list the whole URL of each")
		}
	}
	if fault := faultOfBaseURL(c.OpenURL); fault != "" && len(c.WebLogin(false).Accounts) > 0 {
		f.Add("open_url", "%s", fault)
	}
}

func validateReturnTo(f *input.Faults, path string, pages []string) {
	if len(pages) > maxReturnTo {
		f.Add(path, "has %d pages; %d are the most", len(pages), maxReturnTo)
	}
	for i, page := range pages {
		at := fmt.Sprintf("%s[%d]", path, i)
		if fault := faultOfReturnTo(page); fault != "" {
			f.Add(at, "%q %s", page, fault)
		}
		if slices.Contains(pages[:i], page) {
			f.Add(at, "%q is listed twice", page)
		}
	}
}

// faultOfReturnTo says why a text cannot be a page that a login leads back to, "" if it can. The one-time code becomes its fragment.
func faultOfReturnTo(page string) string {
	u, err := url.Parse(page)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is not an https:// URL"
	case len(page) > maxReturnToBytes || !visibleASCII(page) || strings.ContainsAny(page, "\\\"<>^`{|}"):
		return fmt.Sprintf("is not visible ASCII of at most %d bytes; encode the rest with %%", maxReturnToBytes)
	case u.Scheme == "http" && !input.IsLoopback(u.Hostname()):
		return "is plain http, which is for a page on this machine alone"
	case u.User != nil:
		return "has a user name"
	case strings.Contains(page, "#"):
		return "has a fragment, where the one-time code belongs"
	}
	return ""
}

// validateVerifyFiles reports the faults of the files; known are those of other accounts, in lower case as paths are found.
func validateVerifyFiles(files map[string]string, known map[string]string) (f input.Faults) {
	if len(files) > maxVerifyFiles {
		f.Add("", "has %d files; %d are the most", len(files), maxVerifyFiles)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content, folded := files[name], strings.ToLower(name)
		stem, found := strings.CutSuffix(name, ".txt")
		switch {
		case !found || stem == "" || len(name) > maxID || strings.IndexFunc(stem, notCodeRune) >= 0:
			f.Add(name, "is not the name of a file that WeChat gives out, such as MP_verify_abcdefgh12345678.txt")
		case known[folded] != "" && known[folded] != name+"\n"+content:
			f.Add(name, "is another file's name already; paths are compared without case")
		case content == "" || len(content) > maxVerifyBytes:
			f.Add(name, "has %d bytes; 1 to %d are served", len(content), maxVerifyBytes)
		}
		known[folded] = name + "\n" + content
	}
	return f
}
