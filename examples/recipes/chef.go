package recipes

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

const longestQuestion = 100 // characters

// chef answers a question about a recipe as an AI would: a few characters at a time, as plain text, until the client goes.
type chef struct {
	shelf  *shelf
	refuse func(http.ResponseWriter, error)
	pace   time.Duration // between two pieces
}

func (c chef) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := c.advice(w, r)
	if err != nil {
		c.refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = speak(r.Context(), w, text, c.pace) // the client has gone; there is nobody to tell
}

// speak writes text three characters at a time.
func speak(ctx context.Context, w http.ResponseWriter, text string, pace time.Duration) error {
	flush := http.NewResponseController(w)
	for words := []rune(text); len(words) > 0; words = words[min(3, len(words)):] {
		if _, err := io.WriteString(w, string(words[:min(3, len(words))])); err != nil {
			return err
		}
		if err := flush.Flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pace):
		}
	}
	return nil
}

// advice is about the recipe that the question names, else about the quickest one.
func (c chef) advice(w http.ResponseWriter, r *http.Request) (string, error) {
	asker, err := caller(r)
	if err != nil {
		return "", err
	}
	var body struct{ Question string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody)).Decode(&body); err != nil {
		return "", invalid("请求体不是有效的 JSON")
	}
	if n := utf8.RuneCountInString(body.Question); n == 0 || n > longestQuestion {
		return "", invalid("question 应为 1 到 100 个字")
	}
	best := recipe{}
	for _, r := range c.shelf.find("", asker.id) {
		if strings.Contains(body.Question, r.Title) {
			return advise("", r), nil
		}
		if best.ID == 0 || r.Minutes < best.Minutes {
			best = r
		}
	}
	return advise("这个我不会，给你推荐最快的一道。", best), nil
}

func advise(opening string, r recipe) string {
	if r.ID == 0 {
		return "食堂里还没有菜谱。"
	}
	text := fmt.Sprintf("%s%s，大约 %d 分钟。\n先备好%s。\n", opening, r.Title, r.Minutes, strings.Join(r.Ingredients, "、"))
	if len(r.Steps) == 0 {
		return text + "做法要先购买。"
	}
	for i, step := range r.Steps {
		text += fmt.Sprintf("%d. %s。\n", i+1, step)
	}
	return text
}
