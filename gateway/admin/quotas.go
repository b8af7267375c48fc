package admin

import (
	"encoding/json"
	"fmt"
	"net/http"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/quota"
)

// quotas are the endpoints of what users have of their quotas.
type quotas struct {
	users   *authn.Users
	counter *quota.Counter
	all     func() []quota.Quota // of the configuration in force
}

// Quota is what a user has of a quota today.
type Quota struct {
	Name    string      `json:"name"`
	PerDay  int64       `json:"per_day"`
	Granted int64       `json:"granted"` // beside it, today
	Used    int64       `json:"used"`
	Left    int64       `json:"left"`
	Resets  answer.Time `json:"resets_at"`
}

func newQuota(c quota.Count) Quota {
	return Quota{c.Name, int64(c.PerDay), c.Granted, c.Used, c.Left(), answer.Time{Time: c.Resets()}}
}

// QuotaList are all quotas of a user.
type QuotaList struct {
	Quotas []Quota `json:"quotas"`
}

// list answers GET /api/users/{id}/quotas.
func (a quotas) list(r *http.Request, id int64) (any, error) {
	list := QuotaList{Quotas: []Quota{}}
	if _, err := a.users.Unlinked(r.Context(), id); err != nil {
		return nil, err
	}
	for _, q := range a.all() {
		count, err := a.counter.Of(r.Context(), id, q)
		if err != nil {
			return nil, err
		}
		list.Quotas = append(list.Quotas, newQuota(count))
	}
	return list, nil
}

// grant answers POST /api/users/{id}/quotas: today the user may do something more often, or less often.
func (a quotas) grant(r *http.Request, id int64) (any, error) {
	body, err := readObject(r, "name", "grant")
	if err != nil {
		return nil, err
	}
	var name string
	var more int64
	if json.Unmarshal(body["name"], &name) != nil || json.Unmarshal(body["grant"], &more) != nil || more == 0 {
		return nil, fmt.Errorf("%w: name is the name of a quota, and grant a whole number that is not 0", answer.ErrInvalidRequest)
	}
	for _, q := range a.all() {
		if q.Name != name {
			continue
		}
		if _, err := a.users.Unlinked(r.Context(), id); err != nil { // nobody else may leave something in the store
			return nil, err
		}
		count, err := a.counter.Grant(r.Context(), id, q, more)
		return newQuota(count), err
	}
	return nil, fmt.Errorf("%w: no route has a quota of the name %q", answer.ErrInvalidRequest, name)
}
