package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxgate/upstream"
	"wxgate/upstream/http1"
)

// contentFinding tries whether the targets of a service take the content of a request for the next one.
func contentFinding(ctx context.Context, name string, cfg upstream.Config) finding {
	f := finding{about: "content " + name, advice: "a request's content is not taken for another request"}
	var ill []string
	for _, t := range cfg.Targets {
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := upstream.Drains(limited, cfg, t)
		cancel()
		if errors.Is(err, http1.ErrUndrained) {
			ill = append(ill, fmt.Sprintf("%s: %v", t.URL, err))
		} else if err != nil {
			f.advice = fmt.Sprintf("%s could not be reached: see the line on upstream %s", t.URL, name)
		}
	}
	if len(ill) == 0 {
		return f
	}
	f.err = errors.New(strings.Join(ill, "; "))
	f.advice = fmt.Sprintf("set upstreams.%s.keepalive.reuse_after_body: false, and let the service read or refuse all content", name)
	if !cfg.Keepalive.ReuseAfterBody {
		f.advice = "even after Connection: close; the service must read or refuse all content, no key of ours helps"
	}
	return f
}
