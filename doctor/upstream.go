package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxgate/upstream"
	"wxgate/upstream/http1"
)

// upstreamFinding connects to every target, over TLS where it is https://.
func upstreamFinding(ctx context.Context, name string, cfg upstream.Config) Finding {
	var urls, failures []string
	for _, t := range cfg.Targets {
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		if err := upstream.Reach(limited, cfg, t); err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", t.URL, err))
		}
		cancel()
		urls = append(urls, t.URL)
	}
	if len(failures) > 0 {
		return Finding{"upstream " + name, errors.New(few(failures, "; ")), "start the service, or fix upstreams." + name}
	}
	return Finding{"upstream " + name, nil, "connections are accepted by " + few(urls, ", ")}
}

// contentFinding tests whether the targets of a service take a request's content for the next request.
func contentFinding(ctx context.Context, name string, cfg upstream.Config) Finding {
	f := Finding{About: "content " + name, Advice: "a request's content is not taken for another request"}
	var failures, unknown []string
	for _, t := range cfg.Targets {
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := upstream.Drains(limited, cfg, t)
		cancel()
		if errors.Is(err, http1.ErrUndrained) {
			failures = append(failures, fmt.Sprintf("%s: %v", t.URL, err))
		} else if err != nil {
			unknown = append(unknown, t.URL)
		}
	}
	if len(unknown) > 0 {
		f.Advice = "not known of " + few(unknown, ", ") + ", which did not answer a POST within 3 s: see the line on upstream " + name
	}
	if len(failures) == 0 {
		return f
	}
	f.Err = errors.New(few(failures, "; "))
	f.Advice = fmt.Sprintf("set upstreams.%s.keepalive.reuse_after_body: false, and let the service read or refuse all content", name)
	if !cfg.Keepalive.ReuseAfterBody {
		f.Advice = "even after Connection: close; the service must read or refuse all content, no key of ours helps"
	}
	return f
}

// few joins texts, of which only the first are named when there are many.
func few(texts []string, separator string) string {
	const named = 5
	if len(texts) <= named {
		return strings.Join(texts, separator)
	}
	return fmt.Sprintf("%s%sand %d more", strings.Join(texts[:named], separator), separator, len(texts)-named)
}
