package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"wxgate/histogram"
	"wxgate/tracing/span"
)

// operation is one of Store's methods, as its metric and its errors name it.
type operation int

const (
	opLogin operation = iota
	opLoginOf
	opLoggedInSince
	opUser
	opPerson
	opAccount
	opUnlink
	opUpdateUser
	opSessionKeys
	opSession
	opSessions
	opUpdateSession
	opEndSession
	opEndSessions
	opRevoke
	opRevocations
	opUsers
	opCountUsers
	opAppIDs
	opImportUsers
	opCheckImport
	opEraseUser
	opPutDeletion
	opDeletion
	opDeletions
	opEraseDeleted
	opReserveUserIDs
	opNextEvent
	opEventTold
	opEventNotTold
	opUsersToTell
	opTellAgain
	opUntold
	opBeginSession
	opImportKeys
	opSetPhone
	opForgetPhone
	opReseal
	opPhone
	opUserByOpenID
	opUsersByUnionID
	opSaveServerToken
	opServerToken
	opSealedFile
	opChangeSealedFile
	opIssued
	opTemporary
	opChangeTemporary
	opTakeLease
	opReleaseLease
	opJoinGateways
	opAlone
	opForget
	opSnapshot
	opFill
	opLoad
	opCount
)

// operations are the labels of the operations, and what an error of each was in the middle of.
func operations() [opCount]struct{ label, doing string } {
	return [opCount]struct{ label, doing string }{
		opLogin:            {"login", "logging in"},
		opLoginOf:          {"login_of", "looking for a login"},
		opLoggedInSince:    {"logged_in_since", "looking for a later login"},
		opUser:             {"user", "reading user"},
		opPerson:           {"person", "reading whose account is user"},
		opAccount:          {"account", "reading the accounts of user"},
		opUnlink:           {"unlink", "unlinking user"},
		opUpdateUser:       {"update_user", "changing user"},
		opSessionKeys:      {"session_keys", "reading the session_keys of user"},
		opSession:          {"session", "reading a session"},
		opSessions:         {"sessions", "reading the sessions of user"},
		opUpdateSession:    {"update_session", "changing a session"},
		opEndSession:       {"end_session", "ending a session"},
		opEndSessions:      {"end_sessions", "ending the sessions of user"},
		opRevoke:           {"revoke", "revoking"},
		opRevocations:      {"revocations", "reading revocations"},
		opUsers:            {"users", "listing users"},
		opCountUsers:       {"count_users", "counting users"},
		opAppIDs:           {"app_ids", "listing the mini-programs of users"},
		opImportUsers:      {"import_users", "importing user"},
		opCheckImport:      {"check_import", "checking the import of user"},
		opEraseUser:        {"erase_user", "erasing user"},
		opPutDeletion:      {"put_deletion", "recording the deletion of user"},
		opDeletion:         {"deletion", "looking for a deletion of user"},
		opDeletions:        {"deletions", "listing deletions"},
		opEraseDeleted:     {"erase_deleted", "erasing the deleted user"},
		opReserveUserIDs:   {"reserve_user_ids", "reserving ids of users"},
		opNextEvent:        {"next_event", "taking what to tell about user"},
		opEventTold:        {"event_told", "noting what was told about user"},
		opEventNotTold:     {"event_not_told", "leaving what was not told about user"},
		opUsersToTell:      {"users_to_tell", "listing users to tell about"},
		opTellAgain:        {"tell_again", "recording what to tell again"},
		opUntold:           {"untold", "looking for the first event of user"},
		opBeginSession:     {"begin_session", "starting a session"},
		opImportKeys:       {"import_session_keys", "importing session_keys"},
		opForgetPhone:      {"forget_phone", "deleting the phone number of user"},
		opSetPhone:         {"set_phone", "saving the phone number of user"},
		opReseal:           {"reseal", "sealing secrets with the first key"},
		opPhone:            {"phone", "reading the phone number of user"},
		opUserByOpenID:     {"user_by_openid", "finding a user by openid"},
		opUsersByUnionID:   {"users_by_unionid", "finding users by unionid"},
		opSaveServerToken:  {"save_server_token", "saving a server token"},
		opServerToken:      {"server_token", "reading a server token"},
		opSealedFile:       {"sealed_file", "reading a sealed file"},
		opChangeSealedFile: {"change_sealed_file", "changing a sealed file"},
		opIssued:           {"issued", "looking for the epoch of a token"},
		opTemporary:        {"temporary", "reading a temporary value"},
		opChangeTemporary:  {"change_temporary", "changing a temporary value"},
		opTakeLease:        {"take_lease", "taking a lease"},
		opReleaseLease:     {"release_lease", "releasing a lease"},
		opJoinGateways:     {"join_gateways", "comparing the signing keys with those of other gateways"},
		opAlone:            {"alone", "looking for other gateways"},
		opForget:           {"forget", "deleting expired records"},
		opSnapshot:         {"snapshot", "reading all records"},
		opFill:             {"fill", "beginning to fill the store"},
		opLoad:             {"load", "loading records"},
	}
}

// wrap says what err was in the middle of, and with which user.
func (op operation) wrap(err error, user []int64) error {
	doing := operations()[op].doing
	for _, id := range user {
		doing = fmt.Sprint(doing, " ", id)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// metrics are how long operations take.
type metrics struct {
	system    string         // which driver, as storage.driver says it
	kind      trace.SpanKind // of operations
	labels    [opCount]string
	vector    *prometheus.HistogramVec
	durations [opCount]prometheus.Observer
}

func newMetrics(system string, kind trace.SpanKind, reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{system: system, kind: kind, vector: prometheus.NewHistogramVec(histogram.Options(reg, prometheus.HistogramOpts{
		Name:    "wxgate_storage_operation_duration_seconds",
		Help:    "How long an operation of the store took, waiting included.",
		Buckets: []float64{.00001, .00005, .0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
	}), []string{"operation"})}
	for op, texts := range operations() {
		m.labels[op], m.durations[op] = texts.label, m.vector.WithLabelValues(texts.label)
	}
	return m, reg.Register(m.vector)
}

func (m *metrics) observe(op operation, since time.Time) {
	m.durations[op].Observe(time.Since(since).Seconds())
}

// startSpan begins the span of an operation, if a request is recorded that needs it.
func (m *metrics) startSpan(ctx context.Context, op operation) (context.Context, span.Span) {
	ctx, part := span.Start(ctx, m.kind, "storage", m.labels[op])
	if part.Recorded() {
		part.Set(attribute.String("db.system.name", m.system), attribute.String("db.operation.name", m.labels[op]))
	}
	return ctx, part
}

// endSpan ends a span. What the rules of the store answer, such as ErrNotFound, is no failure of it.
func endSpan(part span.Span, err error) {
	switch {
	case errors.Is(err, ErrUnavailable):
		part.Fail("unavailable")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		part.Fail("canceled")
	}
	part.End()
}
