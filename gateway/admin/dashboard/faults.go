package dashboard

import "strings"

// Fault is one despite which traffic should continue.
type Fault struct {
	Fault  string            `json:"fault"`  // one of FaultTexts
	Values map[string]string `json:"values"` // what its text has blanks for
	Text   string            `json:"text"`   // in English
}

// The faults.
const (
	FaultLogins        = "logins_refused"
	FaultTokens        = "tokens_refused"
	FaultReplaced      = "store_replaced"
	FaultCertificates  = "certificates_missing"
	FaultLogUnread     = "log_unread"
	FaultLogUnwritable = "log_unwritable"
)

// FaultTexts says each fault in English, with a {name} for each value. The page has them in its languages, and only those.
func FaultTexts() map[string]string {
	return map[string]string{
		FaultLogins:        "logins are refused: the storage does not take writes",
		FaultTokens:        "requests with a token are refused: what other gateways have revoked could not be read for too long",
		FaultReplaced:      "requests with a token are refused: another process has filled this store with other data, or is about to",
		FaultCertificates:  "TLS is refused for {domains}: there is no certificate yet",
		FaultLogUnread:     "nobody reads the log, {lines} lines were dropped",
		FaultLogUnwritable: "the log cannot be written ({error}), {lines} lines were dropped",
	}
}

// NewFault is a fault with its values: names and what they are, one after the other.
func NewFault(fault string, values ...string) *Fault {
	f := &Fault{fault, map[string]string{}, ""}
	var blanks []string
	for i := 0; i+1 < len(values); i += 2 {
		f.Values[values[i]] = values[i+1]
		blanks = append(blanks, "{"+values[i]+"}", values[i+1])
	}
	f.Text = strings.NewReplacer(blanks...).Replace(FaultTexts()[fault])
	return f
}
