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
	Liked       bool     `json:"liked"`            // by the caller
	Price       int      `json:"price,omitempty"`  // in fen; the steps are for those who bought it
	Bought      bool     `json:"bought,omitempty"` // by the caller
	CreatedAt   string   `json:"created_at"`
}

// shelf keeps the recipes in the order of their ids.
type shelf struct {
	till *till

	mu      sync.Mutex
	recipes []recipe
	likers  map[int]map[string]bool // recipe id, user id
	lastID  int
}

func newShelf(till *till, now time.Time) *shelf {
	s := &shelf{till: till, likers: map[int]map[string]bool{}}
	for _, r := range classics() {
		if !till.sells() {
			r.Price = 0
		}
		r.AuthorID, r.Author, r.CreatedAt = "0", "食堂", stamp(now)
		_, _ = s.add(r) // an empty shelf has room
	}
	return s
}

// find gives the recipes whose title or ingredients contain query, newest first, as userID sees them.
func (s *shelf) find(query, userID string) []recipe {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []recipe{}
	for _, r := range slices.Backward(s.recipes) {
		if strings.Contains(r.Title, query) || strings.Contains(strings.Join(r.Ingredients, "\n"), query) {
			found = append(found, s.seenBy(r, userID))
		}
	}
	return found
}

func (s *shelf) get(id int, userID string) (recipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.locate(id)
	if err != nil {
		return recipe{}, err
	}
	return s.seenBy(s.recipes[i], userID), nil
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

// forget takes away all that is a user's.
func (s *shelf) forget(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recipes = slices.DeleteFunc(s.recipes, func(r recipe) bool { return r.AuthorID == userID })
	for i := range s.recipes {
		r := &s.recipes[i]
		delete(s.likers[r.ID], userID)
		r.Likes = len(s.likers[r.ID])
	}
}

// like counts each user once.
func (s *shelf) like(id int, userID string) (recipe, error) {
	return s.changeLikes(id, userID, func(likers map[string]bool) {
		if len(likers) < mostLikes {
			likers[userID] = true
		}
	})
}

// unlike takes back a like; without one it changes nothing.
func (s *shelf) unlike(id int, userID string) (recipe, error) {
	return s.changeLikes(id, userID, func(likers map[string]bool) { delete(likers, userID) })
}

func (s *shelf) changeLikes(id int, userID string, change func(likers map[string]bool)) (recipe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.locate(id)
	if err != nil {
		return recipe{}, err
	}
	if s.likers[id] == nil {
		s.likers[id] = map[string]bool{}
	}
	change(s.likers[id])
	s.recipes[i].Likes = len(s.likers[id])
	return s.seenBy(s.recipes[i], userID), nil
}

// seenBy returns r with what depends on who looks at it; a guest has no id.
func (s *shelf) seenBy(r recipe, userID string) recipe {
	r.Liked = s.likers[r.ID][userID]
	if r.Price > 0 {
		r.Bought = s.till.bought(purchase{userID, r.ID})
		if !r.Bought {
			r.Steps = []string{}
		}
	}
	return r
}

func (s *shelf) locate(id int) (int, error) {
	i, found := slices.BinarySearchFunc(s.recipes, id, func(r recipe, id int) int { return r.ID - id })
	if !found {
		return 0, problem{http.StatusNotFound, "recipe_not_found", "没有这个菜谱"}
	}
	return i, nil
}
