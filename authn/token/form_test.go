package token

import (
	"errors"
	"strings"
	"testing"
)

func TestATokenHasOneSpelling(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		line  string
		token string
		err   error
	}{
		{"Bearer abc", "abc", nil},
		{"bearer   abc  ", "abc", nil},
		{"BEARER a.b-c_d~e+f/g==", "a.b-c_d~e+f/g==", nil},
		{"Bearer x", "x", nil},
		{"", "", ErrMissing},
		{"Bearer", "", ErrMissing},
		{"Bearer ", "", ErrMissing},
		{"bearer    ", "", ErrMissing},
		{"Bearer null", "", ErrMissing},
		{"Bearer undefined", "", ErrMissing},
		{"null", "", ErrMissing},
		{"undefined", "", ErrMissing},
		{"Bearer\tabc", "", ErrMalformed},
		{"Bearer \tabc", "", ErrMalformed},
		{"Bearer abc\t\t", "", ErrMalformed},
		{"Bearer \u0085abc", "", ErrMalformed},
		{"Bearer abc\u00a0", "", ErrMalformed},
		{"Bearer abc\u3000", "", ErrMalformed},
		{"Bearer abc\xa0", "", ErrMalformed},
		{"Bearer abc\x85", "", ErrMalformed},
		{"Bearer a b", "", ErrMalformed},
		{"Bearer a,b", "", ErrMalformed},
		{"Bearer a=b", "", ErrMalformed},
		{"Bearer =", "", ErrMalformed},
		{"Bearer Null", "Null", nil},
		{"Bearer " + strings.Repeat("a", maxTokenBytes), strings.Repeat("a", maxTokenBytes), nil},
		{"Bearer " + strings.Repeat("a", maxTokenBytes+1), "", ErrMalformed},
		{"Basic x", "", ErrMalformed},
		{"Bearerabc", "", ErrMalformed},
		{"eyJh.eyJz.c2ln", "", ErrMalformed},
		{"Bearer abc, Bearer abc", "", ErrMalformed},
		{"e30.bb.cc", "e30.bb.cc", nil},
		{"bearere30.bb.cc", "e30.bb.cc", nil},
		{"BeArEre30.bb.cc", "e30.bb.cc", nil},
		{"JWT e30.bb.cc", "e30.bb.cc", nil},
		{"jwt   e30.bb.cc ", "e30.bb.cc", nil},
		{"Token e30.bb.cc", "e30.bb.cc", nil},
		{"Token  e30.bb.cc", "e30.bb.cc", nil},
		{"bearerabc", "", ErrMalformed},
		{"bearera.bb.cc", "", ErrMalformed},
		{"bearere30.bb", "", ErrMalformed},
		{"bearere30.bb.c,", "", ErrMalformed},
		{"bearernull", "", ErrMalformed},
		{"JWT", "", ErrMalformed},
		{"JWT null", "", ErrMalformed},
		{"JWT abc", "", ErrMalformed},
		{"JWT a.b.c", "", ErrMalformed},
		{"JWTe30.bb.cc", "", ErrMalformed},
		{"JWT\te30.bb.cc", "", ErrMalformed},
		{"Token abc", "", ErrMalformed},
		{"Token Token e30.bb.cc", "", ErrMalformed},
		{"Basic e30.bb.cc", "", ErrMalformed},
		{"bearerBearer e30.bb.cc", "", ErrMalformed},
		{"JWT bearere30.bb.cc", "", ErrMalformed},
		{"Bearer JWT e30.bb.cc", "", ErrMalformed},
		{"Bearer , Bearer ", "", ErrMalformed},
	} {
		token, err := Bearer(row.line)
		if token != row.token || !errors.Is(err, row.err) {
			t.Errorf("%.60q: got %.60q, %v; want %.60q, %v", row.line, token, err, row.token, row.err)
		}
		if candidate, named := Candidate(row.line); err == nil && (candidate != row.token || !named) {
			t.Errorf("%.60q: would be looked up as %.60q, %v; want %.60q", row.line, candidate, named, row.token)
		}
		if has := HasCredentials(row.line); has != (row.err != ErrMissing) { //nolint:errorlint // the sentinel itself
			t.Errorf("%.60q: has credentials: %v", row.line, has)
		}
	}
}
