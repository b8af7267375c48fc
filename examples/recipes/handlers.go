package recipes

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	largestBody  = 64 << 10
	largestPage  = 100
	longestTitle = 60 // characters
	mostLines    = 50 // ingredients, and steps
)

// page is one part of a list.
type page struct {
	Items []recipe `json:"items"`
	Total int      `json:"total"`
	Page  int      `json:"page"`
	Limit int      `json:"limit"`
}

func (s *service) list(_ http.ResponseWriter, r *http.Request) (any, error) {
	number, err := queryNumber(r, "page", 1)
	if err != nil {
		return nil, err
	}
	limit, err := queryNumber(r, "limit", 20)
	if err != nil {
		return nil, err
	}
	limit = min(limit, largestPage)
	found := s.shelf.find(r.URL.Query().Get("q"), viewer(r))
	first := min(len(found), (min(number, mostRecipes)-1)*limit)
	last := min(len(found), first+limit)
	return page{Items: found[first:last], Total: len(found), Page: number, Limit: limit}, nil
}

func (s *service) show(_ http.ResponseWriter, r *http.Request) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	return s.shelf.get(id, viewer(r))
}

func (s *service) create(w http.ResponseWriter, r *http.Request) (any, error) {
	author, err := caller(r)
	if err != nil {
		return nil, err
	}
	wanted, err := readRecipe(w, r)
	if err != nil {
		return nil, err
	}
	wanted.AuthorID, wanted.Author, wanted.CreatedAt = author.id, author.nickname, stamp(s.now())
	return s.shelf.add(wanted)
}

func (s *service) remove(_ http.ResponseWriter, r *http.Request) (any, error) {
	author, err := caller(r)
	if err != nil {
		return nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	return map[string]int{"id": id}, s.shelf.remove(id, author.id)
}

func (s *service) like(_ http.ResponseWriter, r *http.Request) (any, error) {
	return changeLike(r, s.shelf.like)
}

func (s *service) unlike(_ http.ResponseWriter, r *http.Request) (any, error) {
	return changeLike(r, s.shelf.unlike)
}

func changeLike(r *http.Request, change func(id int, userID string) (recipe, error)) (any, error) {
	fan, err := caller(r)
	if err != nil {
		return nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	return change(id, fan.id)
}

// readRecipe takes only what an author may choose: an author_id in the body changes nothing.
func readRecipe(w http.ResponseWriter, r *http.Request) (recipe, error) {
	var body struct {
		Title       string   `json:"title"`
		Minutes     int      `json:"minutes"`
		Ingredients []string `json:"ingredients"`
		Steps       []string `json:"steps"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody)).Decode(&body)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return recipe{}, problem{http.StatusRequestEntityTooLarge, "body_too_large", "内容太长"}
	}
	if err != nil {
		return recipe{}, invalid("请求体不是有效的 JSON")
	}
	title := strings.TrimSpace(body.Title)
	return recipe{Title: title, Minutes: body.Minutes, Ingredients: body.Ingredients, Steps: body.Steps},
		validate(title, body.Minutes, body.Ingredients, body.Steps)
}

func validate(title string, minutes int, ingredients, steps []string) error {
	switch {
	case title == "" || utf8.RuneCountInString(title) > longestTitle:
		return invalid("title 应为 1 到 60 个字")
	case minutes < 1 || minutes > 24*60:
		return invalid("minutes 应为 1 到 1440")
	case len(ingredients) == 0 || len(ingredients) > mostLines:
		return invalid("ingredients 应有 1 到 50 项")
	case len(steps) == 0 || len(steps) > mostLines:
		return invalid("steps 应有 1 到 50 项")
	}
	return nil
}

func queryNumber(r *http.Request, name string, otherwise int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, invalid(name + " 应为正整数")
	}
	return n, nil
}

func pathID(r *http.Request) (int, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return 0, problem{http.StatusNotFound, "recipe_not_found", "没有这个菜谱"}
	}
	return id, nil
}

func invalid(message string) problem {
	return problem{http.StatusBadRequest, "invalid_request", message}
}
