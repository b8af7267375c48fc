package gateway

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/storage"
)

// authenticator identifies the user of a request.
type authenticator struct {
	auth      *authn.Authn
	parse     func(authorization string) (*token.Payload, error) // of a token that is not in the cache
	limits    *limiter
	admission *admission
	store     storeGate
}

// authenticate requires a token if the route does.
func (a *authenticator) authenticate(ex *Exchange) error {
	if err := a.identify(ex); err != nil || ex.outcome == handedOver {
		return err
	}
	return ex.next()
}

// identify sets ex.subject to the user of the request, as far as its route asks for one.
func (a *authenticator) identify(ex *Exchange) error {
	authorization := header.Authorization(&ex.request.Fields)
	switch ex.route.auth {
	case AuthNone:
		return nil
	case AuthPrefetch:
		return a.identifyPrefetch(ex)
	case AuthOptional:
		if !token.HasCredentials(authorization) {
			return a.identifyCloudOrAnonymous(ex)
		}
	case AuthRequired:
		if ex.cloud != nil && !token.HasCredentials(authorization) {
			return a.identifyCloud(ex)
		}
	}
	err := a.identifyBearer(ex, authorization)
	if errors.Is(err, storage.ErrUnavailable) && a.store.gate.HandedOver() { // the user of an imported token is looked up in the store
		return a.store.handOver(ex)
	}
	return err
}

// identifyBearer accepts only a valid bearer token.
func (a *authenticator) identifyBearer(ex *Exchange, authorization string) (err error) {
	ex.subject, err = a.auth.Tokens.Verify(ex.ctx, authorization, func() (*token.Payload, error) { return a.parse(authorization) })
	return err
}

// identifyCloud accepts a request without a token as the user that WeChat Cloud Run names.
func (a *authenticator) identifyCloud(ex *Exchange) (err error) {
	if err := a.admission.acquireSlot(ex); err != nil { // the store is about to be read
		return err
	}
	if acquired, err := a.store.acquire(ex); !acquired {
		return err
	}
	ctx, cancel := ex.timeoutContext()
	defer cancel()
	ex.subject, err = a.auth.CloudSubject(ctx, *ex.cloud)
	return err
}

// identifyCloudOrAnonymous accepts a request without a token as the user that the platform names, or as anonymous.
func (a *authenticator) identifyCloudOrAnonymous(ex *Exchange) error {
	if ex.cloud == nil {
		return nil
	}
	err := a.identifyCloud(ex)
	if errors.Is(err, token.ErrMissing) { // never logged in
		return nil
	}
	return err
}

// identifyPrefetch authenticates a request of WeChat's pre-fetch (page framework/ability/pre-fetch): WeChat's server
// GETs the configured address with ?appid and either ?code, a code of wx.login, or ?token, our access token as the
// mini-program passed it to wx.setBackgroundFetchToken. Neither is forwarded to the service.
func (a *authenticator) identifyPrefetch(ex *Exchange) error {
	if ex.method != http.MethodGet {
		return answer.ErrNoRoute
	}
	_, query, _ := bytes.Cut(ex.target.Raw, []byte{'?'})
	values, err := url.ParseQuery(string(query))
	if err != nil || len(values["code"])+len(values["token"]) != 1 {
		return token.ErrMissing
	}
	ex.target.Raw = withoutCredentials(ex.target.Raw)
	if token := values.Get("token"); token != "" {
		return a.identifyBearer(ex, "Bearer "+token)
	}
	if err := a.admission.acquireSlot(ex); err != nil { // WeChat is about to be called
		return err
	}
	if acquired, err := a.store.acquire(ex); !acquired {
		return err
	}
	ctx, cancel := ex.timeoutContext()
	defer cancel()
	ex.subject, err = a.auth.Prefetched(ctx, authn.Prefetch{
		AppID: values.Get("appid"), Code: values.Get("code"),
		Precheck: func() error { return a.limits.chargeBucket(ex, ex.snapshot.prefetches, 0) },
		Admit: func(appID, openID string) error {
			return a.limits.chargeBucket(ex, ex.snapshot.prefetched, a.limits.buckets.OfOpenID(appID, openID))
		},
	})
	return err
}

// withoutCredentials returns a request target without the parameters code and token; the others stay byte for byte.
func withoutCredentials(raw []byte) []byte {
	path, query, found := bytes.Cut(raw, []byte{'?'})
	if !found {
		return raw
	}
	kept := append(bytes.Clone(path), '?')
	for part := range bytes.SplitSeq(query, []byte{'&'}) {
		name, _, _ := bytes.Cut(part, []byte{'='})
		decoded, err := url.QueryUnescape(string(name))
		if err != nil || decoded == "code" || decoded == "token" {
			continue
		}
		kept = append(append(kept, part...), '&')
	}
	return kept[:len(kept)-1]
}
