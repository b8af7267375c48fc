package api

import (
	"fmt"
	"net/http"
	"testing"

	"wxgate/gateway/answer"
	"wxgate/storage"
)

func TestAUserWhoIsGoneIsLoggedOutForThemself(t *testing.T) {
	t.Parallel()
	gone := fmt.Errorf("reading user 7: %w", storage.ErrNotFound)
	if f := answer.NewTable().Lookup(subjectError(gone)); f.Status != http.StatusUnauthorized || f.Reason != "token_revoked" {
		t.Errorf("their own token gets %d %s, want 401 token_revoked", f.Status, f.Reason)
	}
}
