package admin

import (
	"fmt"
	"net/http"

	"wxgate/gateway/answer"
	"wxgate/gateway/apidoc"
)

// openAPI answers GET /api/openapi.json with the document of this API or, with api=public, of the public one.
func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) {
	doc, err := s.document(r.URL.Query().Get("api"))
	if err != nil {
		s.responder.fail(w, err)
		return
	}
	described, err := answer.JSON(http.StatusOK, doc)
	if err != nil {
		s.responder.fail(w, err)
		return
	}
	described.Write(w)
}

func (s *Server) document(api string) (apidoc.Document, error) {
	switch api {
	case "", "admin":
		return apidoc.Admin(s.deps.Process().Version, s.scopesOfEndpoints())
	case "public":
		return s.deps.PublicAPI()
	}
	return apidoc.Document{}, fmt.Errorf("%w: api is admin or public", answer.ErrInvalidRequest)
}

// scopesOfEndpoints are, by pattern, the scopes of which a service must have one. Those of the broker are what most paths need.
func (s *Server) scopesOfEndpoints() map[string][]string {
	needed := map[string][]string{"GET /metrics": nil}
	for _, e := range s.endpoints() {
		needed[e.pattern] = words(e.needs(new(http.Request)))
	}
	return needed
}
