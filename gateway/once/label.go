package once

import "wxgate/message"

// The headers by which a service knows what is delivered. X-Wxgate-… of clients pass to no service.
const (
	HeaderKey    = "Idempotency-Key"
	HeaderAppID  = "X-Wxgate-Appid"
	HeaderRepeat = "X-Wxgate-Repeat"
	Possible     = "possible" // of HeaderRepeat: an earlier attempt may have arrived
)

// Label writes them: whose it is, empty if that is not known, the key of all repetitions, and whether this may be one.
func Label(fields *message.Fields, appID, key string, repeat bool) {
	fields.Set(HeaderKey, key)
	if fields.Del(HeaderAppID); appID != "" {
		fields.Add(HeaderAppID, appID)
	}
	if fields.Del(HeaderRepeat); repeat {
		fields.Add(HeaderRepeat, Possible)
	}
}
