package recipes

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	mostRecipes = 1000
	mostLikes   = 1000 // users counted per recipe
)

// recipe is one dish.
type recipe struct {
	ID          int      `json:"id"`
	Title       string   `json:"title"`
	Minutes     int      `json:"minutes"`
	Ingredients []string `json:"ingredients"`
	Steps       []string `json:"steps"`
	AuthorID    string   `json:"author_id"`
	Author      string   `json:"author"`
	Likes       int      `json:"likes"`
	CreatedAt   string   `json:"created_at"`
}

// shelf keeps the recipes in the order of their ids.
type shelf struct {
	mu      sync.Mutex
	recipes []recipe
	likers  map[int]map[string]bool // recipe id, user id
	lastID  int
}

func newShelf(now time.Time) *shelf {
	s := &shelf{likers: map[int]map[string]bool{}}
	for _, r := range classics() {
		r.AuthorID, r.Author, r.CreatedAt = "0", "食堂", stamp(now)
		_, _ = s.add(r) // an empty shelf has room
	}
	return s
}

// find gives the recipes whose title or ingredients contain query, newest first.
func (s *shelf) find(query string) []recipe {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []recipe{}
	for _, r := range slices.Backward(s.recipes) {
		if strings.Contains(r.Title, query) || strings.Contains(strings.Join(r.Ingredients, "\n"), query) {
			found = append(found, r)
		}
	}
	return found
}

func (s *shelf) get(id int) (recipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.locate(id)
	if err != nil {
		return recipe{}, err
	}
	return s.recipes[i], nil
}

func (s *shelf) add(r recipe) (recipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recipes) >= mostRecipes {
		return recipe{}, problem{http.StatusServiceUnavailable, "shelf_full", "菜谱太多了，请先删除一些"}
	}
	s.lastID++
	r.ID = s.lastID
	s.recipes = append(s.recipes, r)
	return r, nil
}

// remove takes away a recipe of author's own.
func (s *shelf) remove(id int, author string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.locate(id)
	if err != nil {
		return err
	}
	if s.recipes[i].AuthorID != author {
		return problem{http.StatusForbidden, "not_yours", "只能删除自己的菜谱"}
	}
	s.recipes = slices.Delete(s.recipes, i, i+1)
	delete(s.likers, id)
	return nil
}

// like counts each user once.
func (s *shelf) like(id int, userID string) (recipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.locate(id)
	if err != nil {
		return recipe{}, err
	}
	if s.likers[id] == nil {
		s.likers[id] = map[string]bool{}
	}
	if len(s.likers[id]) < mostLikes {
		s.likers[id][userID] = true
	}
	s.recipes[i].Likes = len(s.likers[id])
	return s.recipes[i], nil
}

func (s *shelf) locate(id int) (int, error) {
	i, found := slices.BinarySearchFunc(s.recipes, id, func(r recipe, id int) int { return r.ID - id })
	if !found {
		return 0, problem{http.StatusNotFound, "recipe_not_found", "没有这个菜谱"}
	}
	return i, nil
}
