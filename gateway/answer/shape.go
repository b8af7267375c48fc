package answer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"wxgate/authn"
	"wxgate/message"
	"wxgate/storage"
)

// messageOfSuccess is {message} of a successful answer that says nothing else.
const messageOfSuccess = "success"

// HeaderReason carries the reason of a refusal, whatever its body looks like.
const HeaderReason = "X-Wxgate-Reason"

// Shape is how answers of the gateway look on the public listener, prepared from a Config. It is safe for concurrent use.
type Shape struct {
	name    string
	success template
	refusal template
	login   template
	refresh template
	profile template // nil: success, with the whole user as data
	codes   map[string]string
	as200   bool                       // refusals have status 200
	rows    map[error]*preparedRefusal // the rows of the error table as they are
	clock   clock
}

// preparedRefusal is an answer with everything in it that is the same each time.
type preparedRefusal struct {
	status  int
	message string
	body    template
	fields  message.Fields
}

// NewShape prepares cfg, which must be valid, for the rows of the error table.
func NewShape(cfg Config, table Table) (*Shape, error) {
	cfg = cfg.complete()
	s := &Shape{name: cfg.String(), codes: cfg.Codes, as200: cfg.RefusalStatus == status200, rows: make(map[error]*preparedRefusal, len(table))}
	for _, t := range []struct {
		key, text string
		known     map[string]placeholder
		into      *template
	}{
		{"success", cfg.Success, successPlaceholders(), &s.success},
		{"refusal", cfg.Refusal, refusalPlaceholders(), &s.refusal},
		{"login", cfg.loginTemplate(), loginPlaceholders(), &s.login},
		{"refresh", cfg.refreshTemplate(), refreshPlaceholders(), &s.refresh},
		{"profile", cfg.Profile, profilePlaceholders(), &s.profile},
	} {
		var err error
		if t.text == "" {
			continue
		}
		if *t.into, err = parseTemplate(t.text, t.known); err != nil {
			return nil, fmt.Errorf("%s: %w", t.key, err)
		}
	}
	for _, f := range table {
		v := values{status: f.Status, code: s.codeOf(f), message: f.Message, reason: f.Reason}
		row := &preparedRefusal{status: f.Status, message: f.Message, body: s.refusal.with(&v, sameInEachRefusal)}
		appendRefusalFields(&row.fields, f)
		s.rows[f.err] = row
	}
	return s, nil
}

// String is how the shape is shown to an operator.
func (s *Shape) String() string { return s.name }

// sameInEachRefusal reports whether a placeholder stands for something that a row of the table decides.
func sameInEachRefusal(p placeholder) bool {
	return p != placeRequestID && p != placeTimestamp && p != placeTimestampMs && p != placeTimestampS
}

// codeOf is the business code of a failure: that of its reason, of its status, of all others, or the status itself.
func (s *Shape) codeOf(f Failure) string {
	status := strconv.Itoa(f.Status)
	for _, name := range []string{f.Reason, status, codeOfOthers} {
		if code, known := s.codes[name]; known {
			return code
		}
	}
	return status
}

// appendRefusalFields appends the field lines that a failure decides.
func appendRefusalFields(fields *message.Fields, f Failure) {
	fields.Add("Content-Type", contentTypeJSON)
	fields.Add("Cache-Control", "no-store")
	fields.Add("X-Content-Type-Options", "nosniff")
	fields.Add(HeaderReason, f.Reason)
	if f.Status == http.StatusUnauthorized {
		fields.Add("WWW-Authenticate", challenge(f.Reason))
	}
}

// Refusal is a failure as a client is told of it.
type Refusal struct {
	Failure
	Message    string // the row's own, or a more specific one
	RequestID  string // for the body; the header is the caller's
	Now        time.Time
	KeepStatus bool // the client goes by the status, so it is never dressed up as another one
}

// sameAs reports whether the refusal says what the row of the table does.
func (r *Refusal) sameAs(row *preparedRefusal) bool {
	return r.Status == row.status && r.Message == row.message
}

// Refuse makes resp the answer to a failure. Other fields of resp are kept.
func (s *Shape) Refuse(resp *message.Response, r *Refusal) {
	v := values{requestID: r.RequestID, now: r.Now}
	if row := s.rows[r.err]; row != nil && r.sameAs(row) {
		resp.Fields.Append(&row.fields)
		resp.Body = row.body.append(resp.Body[:0], &v, &s.clock)
	} else {
		appendRefusalFields(&resp.Fields, r.Failure)
		v.status, v.code, v.message, v.reason = r.Status, s.codeOf(r.Failure), r.Message, r.Reason
		resp.Body = s.refusal.append(resp.Body[:0], &v, &s.clock)
	}
	if r.RetryAfter > 0 {
		resp.Fields.Add("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	resp.Status = r.Status
	if s.as200 && !r.KeepStatus {
		resp.Status = http.StatusOK
		resp.Fields.Del("WWW-Authenticate")
	}
}

// Success is a 200 with data.
func (s *Shape) Success(message string, data any, now time.Time) (Answer, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // no browser reads it
	if err := enc.Encode(data); err != nil {
		return Answer{}, fmt.Errorf("writing an answer: %w", err)
	}
	v := s.newValues(message, now)
	v.data = bytes.TrimRight(text.Bytes(), "\n")
	return newJSON(http.StatusOK, s.success.append(nil, &v, &s.clock)), nil
}

// Login is the answer to a login.
func (s *Shape) Login(grant authn.Grant, now time.Time) Answer { return s.granted(s.login, grant, now) }

// Refresh is the answer to a refresh. Of the grant it tells the token.
func (s *Shape) Refresh(grant authn.Grant, now time.Time) Answer {
	return s.granted(s.refresh, grant, now)
}

// Profile is the answer that shows users themselves.
func (s *Shape) Profile(user storage.User, now time.Time) (Answer, error) {
	if s.profile == nil {
		return s.Success(messageOfSuccess, NewUser(user), now)
	}
	return s.granted(s.profile, authn.Grant{User: user}, now), nil
}

func (s *Shape) granted(t template, grant authn.Grant, now time.Time) Answer {
	v := s.newValues(messageOfSuccess, now)
	v.grant = grant
	return newJSON(http.StatusOK, t.append(nil, &v, &s.clock))
}

// newValues are those of a successful answer.
func (s *Shape) newValues(message string, now time.Time) values {
	v := values{status: http.StatusOK, code: strconv.Itoa(http.StatusOK), message: message, now: now}
	if code, known := s.codes[codeOfSuccess]; known {
		v.code = code
	}
	return v
}

// Shapes prepares configurations, equal ones once.
type Shapes struct {
	table Table
	made  map[string]*Shape
}

// NewShapes returns shapes for the rows of the error table.
func NewShapes(table Table) *Shapes { return &Shapes{table, map[string]*Shape{}} }

// Of prepares cfg, which must be valid.
func (s *Shapes) Of(cfg Config) (*Shape, error) {
	key := cfg.complete().key()
	if made := s.made[key]; made != nil {
		return made, nil
	}
	made, err := NewShape(cfg, s.table)
	s.made[key] = made
	return made, err
}

// MaxShapes is how many different ones a configuration may have: each is prepared for every row of the error table.
const MaxShapes = 64

// Distinct counts configurations, equal ones once.
type Distinct map[string]bool

// Add counts cfg. It reports whether there are more than MaxShapes because of it.
func (d Distinct) Add(cfg Config) (tooMany bool) {
	key := cfg.complete().key()
	if d[key] {
		return false
	}
	d[key] = true
	return len(d) > MaxShapes
}
