package gateway

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/token"
	"wxgate/gateway/answer"
	"wxgate/gateway/credential"
	"wxgate/storage"
)

// authenticator identifies the user of a request.
type authenticator struct {
	auth      *authn.Authn
	issuers   *issuer.Set
	parse     func(credential string) (*token.Payload, error) // of a token that is not in the cache
	limits    *limiter
	admission *admission
	store     storeGate
}

// authenticate requires a token if the route does, or what the route has instead.
func (a *authenticator) authenticate(ex *Exchange) error {
	if ex.route.precheck != nil {
		return ex.route.precheck(ex)
	}
	if err := a.identify(ex); err != nil || ex.outcome == handedOver {
		return err
	}
	return ex.next()
}

// identify sets ex.subject to the user of the request, or ex.caller, as far as its route asks for one.
func (a *authenticator) identify(ex *Exchange) error {
	credential := takeCredential(ex)
	if ex.route.issuer != "" {
		return a.identifyCaller(ex, credential)
	}
	switch ex.route.auth {
	case AuthNone:
		return nil
	case AuthPrefetch:
		return a.identifyPrefetch(ex)
	case AuthOptional:
		if !token.HasCredentials(credential) {
			return a.identifyCloudOrAnonymous(ex)
		}
	case AuthRequired:
		if ex.cloud != nil && !token.HasCredentials(credential) {
			return a.identifyCloud(ex)
		}
	}
	err := a.identifyBearer(ex, credential)
	if errors.Is(err, storage.ErrUnavailable) && a.store.gate.HandedOver() { // the user of an imported token is looked up in the store
		return a.store.handOver(ex)
	}
	return err
}

// identifyBearer accepts only a valid bearer token.
func (a *authenticator) identifyBearer(ex *Exchange, credential string) (err error) {
	ex.subject, err = a.auth.Tokens.Verify(ex.ctx, credential, func() (*token.Payload, error) { return a.parse(credential) })
	return err
}

// identifyCaller accepts a token of the issuer that the route names, and of nobody else. What the platform says of a user
// counts for nothing here.
func (a *authenticator) identifyCaller(ex *Exchange, credential string) (err error) {
	if ex.route.auth == AuthOptional && !token.HasCredentials(credential) {
		return nil
	}
	ex.caller, err = a.issuers.Verify(ex.ctx, ex.route.issuer, credential)
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

// The parameters of a pre-fetch that say who it is for.
const (
	prefetchCode  = "code"
	prefetchToken = "token"
)

// identifyPrefetch authenticates a request of WeChat's pre-fetch (page framework/ability/pre-fetch): WeChat's server
// GETs the configured address with ?appid and either ?code, a code of wx.login, or ?token, our access token as the
// mini-program passed it to wx.setBackgroundFetchToken. Neither is forwarded to the service.
func (a *authenticator) identifyPrefetch(ex *Exchange) error {
	if ex.method != http.MethodGet {
		return answer.ErrNoRoute
	}
	_, query, _ := bytes.Cut(ex.target.Raw, []byte{'?'})
	values, err := url.ParseQuery(string(query))
	if err != nil || len(values[prefetchCode])+len(values[prefetchToken]) != 1 {
		return token.ErrMissing
	}
	ex.target.Raw = credential.CutParameters(ex.target.Raw, prefetchCode, prefetchToken)
	if token := values.Get(prefetchToken); token != "" {
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
		AppID: values.Get("appid"), Code: values.Get(prefetchCode),
		Precheck: func() error { return a.limits.chargeBucket(ex, ex.snapshot.prefetches, 0) },
		Admit: func(appID, openID string) error {
			return a.limits.chargeBucket(ex, ex.snapshot.prefetched, a.limits.buckets.OfOpenID(appID, openID))
		},
	})
	return err
}
