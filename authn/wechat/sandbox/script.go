package sandbox

import (
	"strconv"
	"strings"
	"time"
)

// maxDelay bounds what a slow- code can ask for.
const maxDelay = 60 * time.Second

// script is what a code asks the sandbox to do.
type script struct {
	person   string        // whose login it is; empty for an issued code, whose person the ledger knows
	reusable bool          // the same code logs in again and again
	delay    time.Duration // before the answer
	errcode  int           // answered instead of a session, unless 0
	asString bool          // the errcode is written as "40029"
	broken   string        // the way in which the answer is broken, see broken.go
}

// parseScript reads the forms of the package comment. A code of no such form is an issued one, or unknown.
func parseScript(code string) script {
	form, rest, _ := strings.Cut(code, "-")
	switch form {
	case "demo":
		return login(rest, 0)
	case "slow":
		return slow(rest)
	case "err", "strcode":
		n, _ := strconv.Atoi(rest)
		return script{errcode: n, asString: form == "strcode"}
	case "broken":
		how, person, _ := strings.Cut(rest, "-")
		return script{broken: how, person: or(person, "somebody"), reusable: true}
	}
	return script{}
}

// login reads <person>[-<anything>]: the bare person is reusable.
func login(rest string, delay time.Duration) script {
	person, _, once := strings.Cut(rest, "-")
	return script{person: person, reusable: person != "" && !once, delay: delay}
}

// slow reads <duration>-<person>[-<anything>].
func slow(rest string) script {
	duration, who, _ := strings.Cut(rest, "-")
	delay, err := time.ParseDuration(duration)
	if err != nil || delay < 0 {
		return script{}
	}
	return login(who, min(delay, maxDelay))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
