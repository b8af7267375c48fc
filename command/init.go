package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"wxgate/command/firstfile"
	"wxgate/config/schema"
)

type initCommand struct {
	AppID    string   `name:"appid" placeholder:"APPID" help:"The mini-program: wx and 16 characters, from mp.weixin.qq.com."`
	Upstream string   `placeholder:"URL" help:"Where your service listens (http://127.0.0.1:3000)."`
	Login    []string `placeholder:"PATH" help:"A path that needs a login (/api/**); may be repeated."`
	Open     []string `placeholder:"PATH" help:"A path that needs none; may be repeated. It is not asked for."`
	Front    string   `placeholder:"WHAT" help:"What phones reach first: a domain, for which wxgate gets a certificate; the address of your proxy (127.0.0.1); or cloudrun, WeChat Cloud Run."`
	Lang     string   `enum:",en,zh" default:"" placeholder:"en|zh" help:"Language of the questions and of the comments in the file (by the locale)."`
	Yes      bool     `help:"Ask nothing: what is not given has its default."`
	Force    bool     `help:"Replace a file that exists."`
}

// question is one that init asks unless its flag has answered it.
type question struct {
	flag     string // that answers it
	text     string // empty: it is not asked
	want     string // what to answer instead of what is wrong; empty: the message says it
	given    string // by the flag
	fallback string // for an empty answer; empty: there is none
	set      func(answer string)
}

// Run writes a first configuration that check has nothing to say against.
func (c initCommand) Run(ctx context.Context, w *env) error {
	if _, err := os.Lstat(w.config); err == nil && !c.Force {
		return fmt.Errorf("%s exists already; --force replaces it, and -c FILE writes another one", w.config)
	}
	words := firstfile.WordsOf(cmp.Or(c.Lang, firstfile.LanguageOf(w.lookup)))
	var accepted firstfile.Answers
	typed := bufio.NewScanner(w.stdin)
	for _, q := range c.questions(words, &accepted) {
		if err := c.ask(ctx, w, typed, words, q, &accepted); err != nil {
			return err
		}
	}
	if err := c.write(w.config, accepted.File(words)); err != nil {
		return err
	}
	if err := replace(filepath.Join(filepath.Dir(w.config), firstfile.SchemaName), schema.JSON()); err != nil {
		return err
	}
	command := "wxgate"
	if w.named {
		command += " -c " + w.config
	}
	_, err := io.WriteString(w.stdout, accepted.Next(w.config, command, words))
	return err
}

// questions are the four, in the order in which they are asked, and what only flags say.
func (c initCommand) questions(words firstfile.Words, into *firstfile.Answers) []question {
	return []question{
		{"--appid", words.AskAppID, words.WantAppID, c.AppID, "", func(a string) { into.AppID = a }},
		{"--upstream", words.AskUpstream, words.WantUpstream, c.Upstream, firstfile.DefaultUpstream, func(a string) { into.Upstream = a }},
		{"--login", words.AskLogin, words.WantLogin, strings.Join(c.Login, ","), firstfile.DefaultLogin, func(a string) { into.Login = firstfile.List(a) }},
		{"--front", words.AskFront, words.WantFront, c.Front, firstfile.DefaultFront, func(a string) { into.Front = a }},
		{"--open", "", "", strings.Join(c.Open, ","), "", func(a string) { into.Open = firstfile.List(a) }},
	}
}

// ask asks until the answer makes a good configuration together with those before it.
func (c initCommand) ask(ctx context.Context, w *env, typed *bufio.Scanner, words firstfile.Words, q question, into *firstfile.Answers) error {
	asks := q.given == "" && q.text != "" && !c.Yes
	for {
		answer := q.given
		if asks {
			var err error
			if answer, err = readAnswer(ctx, w, typed, q); err != nil {
				return err
			}
		}
		q.set(cmp.Or(strings.TrimSpace(answer), q.fallback))
		fault := into.Fault(words)
		switch {
		case fault == "":
			return nil
		case !asks:
			return fmt.Errorf("%s: %s", q.flag, fault)
		}
		if q.want != "" {
			fault = fmt.Sprintf("%s（%s）", q.want, fault)
		}
		_, _ = fmt.Fprintf(w.stderr, "  %s %s\n", words.Again, fault)
	}
}

// readAnswer asks one question, and waits for a line or for Ctrl-C.
func readAnswer(ctx context.Context, w *env, typed *bufio.Scanner, q question) (string, error) {
	prompt := q.text
	if q.fallback != "" {
		prompt += " [" + q.fallback + "]"
	}
	_, _ = fmt.Fprintf(w.stderr, "%s: ", prompt)
	got := make(chan bool, 1)
	go func() { got <- typed.Scan() }()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(w.stderr)
		return "", errors.New("nothing is written")
	case more := <-got:
		if !more {
			_, _ = fmt.Fprintln(w.stderr)
			return "", fmt.Errorf("there is no answer: give it as %s, or add --yes for defaults; nothing is written", q.flag)
		}
		return typed.Text(), nil
	}
}

// write puts the configuration there.
func (c initCommand) write(file, text string) error {
	if !c.Force {
		return writeNew(file, []byte(text), 0o644)
	}
	return replace(file, []byte(text))
}

// replace puts a file there in one step, whether or not there is one.
func replace(file string, content []byte) error {
	part := file + ".part"
	if err := os.WriteFile(part, content, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return os.Rename(part, file)
}
