// Package recipes is a small recipe service as a team would write it behind wxgate: plain net/http, no login, no tokens.
//
// It believes X-User-Id without asking anybody. That is safe for one reason only: nothing but the gateway can reach it,
// and the gateway removes every such header that a client sends before it sets its own. So it listens on 127.0.0.1
// unless told otherwise; give it an address that the internet can reach, and anyone is anyone.
package recipes

import (
	"net/http"
	"time"
)

// New makes a service with a few recipes in it. What is added lives in memory and is bounded: it goes when the process
// does.
func New() http.Handler { return NewWith(Options{}) }

// Options are what the service does besides.
type Options struct {
	Shop        Shop   // sells one of the recipes; without an offer, none
	UsersSecret string // authn.on_user.secret of the gateway, which then tells of users at /internal/users; "": it does not
}

// NewWith is New with options.
func NewWith(o Options) http.Handler { return newService(o, time.Now).routes() }

type service struct {
	shelf  *shelf
	till   *till
	album  *album
	people *people
	now    func() time.Time
	pace   time.Duration // between two pieces of what the chef says
}

func newService(o Options, now func() time.Time) *service {
	till := newTill(o.Shop)
	shelf := newShelf(till, now())
	return &service{
		shelf: shelf, till: till, album: new(album), people: newPeople(o.UsersSecret, shelf, now), now: now, pace: 40 * time.Millisecond,
	}
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.answer(s.healthy))
	mux.HandleFunc("/whoami", s.answer(whoami))
	mux.HandleFunc("/api/v1/whoami", s.answer(whoami))
	mux.HandleFunc("GET /api/v1/recipes", s.answer(s.list))
	mux.HandleFunc("GET /api/v1/recipes/{id}", s.answer(s.show))
	mux.HandleFunc("POST /api/v1/recipes", s.answer(s.create))
	mux.HandleFunc("DELETE /api/v1/recipes/{id}", s.answer(s.remove))
	mux.HandleFunc("POST /api/v1/recipes/{id}/like", s.answer(s.like))
	mux.HandleFunc("DELETE /api/v1/recipes/{id}/like", s.answer(s.unlike))
	mux.Handle("POST /api/v1/chef", chef{s.shelf, s.refuse, s.pace})
	mux.HandleFunc("POST /api/v1/uploads", s.answer(s.upload))
	mux.HandleFunc("GET /uploads/{name}", s.picture)
	if s.till.sells() {
		mux.HandleFunc("POST /internal/orders/sign", s.sign) // no route of the gateway leads clients here, nor to the next
		mux.HandleFunc("POST /wechat/push", s.pushed)
		mux.HandleFunc("POST /api/v1/recipes/{id}/refund", s.answer(s.refund))
	}
	if len(s.people.key) > 0 {
		mux.HandleFunc("POST /internal/users", s.people.learn) // nor here
		mux.HandleFunc("GET /internal/users", s.answer(s.people.all))
	}
	return mux
}

func (s *service) healthy(http.ResponseWriter, *http.Request) (any, error) {
	return map[string]string{"status": "ok"}, nil
}
