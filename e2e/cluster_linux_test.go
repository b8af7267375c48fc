package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	mostStaleness = 10 * time.Second // storage.mysql.max_staleness
	mostSilence   = 3 * time.Second  // without a login anywhere, while a majority of the nodes lives
	mostDelay     = time.Second      // until a logout holds on a gateway that reaches the store
)

// cluster is three gateways on three nodes of Galera, and the clients of all of them.
type cluster struct {
	*ledger
	t        *testing.T
	galera   *galera
	gateways [3]atomic.Pointer[replica]
	rows     []clusterRow
}

// replica is one process of a gateway, with what it says about how much it knows of logouts on others.
type replica struct {
	*world
	mu       sync.Mutex
	known    []knowledge
	frozen   time.Time // when it was stopped
	thawed   time.Time // and went on
	accepted time.Duration
}

// knowledge: at a time, everything was known that had been acknowledged until another.
type knowledge struct{ at, until time.Time }

// clusterCase is what happens while clients are busy.
type clusterCase struct {
	name       string
	do         func(c *cluster)
	mostSilent time.Duration // 0: no majority lives for a while
	mostLate   time.Duration // how long after its end a token may be accepted
}

// clusterRow is what came of it.
type clusterRow struct {
	name                                string
	logins, refreshes, ended, lost, ids int
	silence, late                       time.Duration
}

func clusterCases() []clusterCase {
	pause := func(d time.Duration) { <-time.After(d) }
	return []clusterCase{
		{"calm", func(*cluster) { pause(8 * time.Second) }, mostSilence, mostDelay},
		{"writer killed with -9, started again", func(c *cluster) {
			writer, _ := c.galera.busiest()
			c.galera.kill(writer)
			pause(6 * time.Second)
			c.galera.start(writer)
			pause(2 * time.Second)
		}, mostSilence, mostStaleness},
		{"writer frozen for 6 s", func(c *cluster) {
			writer, _ := c.galera.busiest()
			c.galera.freeze(writer)
			pause(6 * time.Second)
			c.galera.thaw(writer)
			pause(5 * time.Second)
		}, mostSilence, mostStaleness},
		{"another node frozen for 6 s", func(c *cluster) {
			_, reader := c.galera.busiest()
			c.galera.freeze(reader)
			pause(6 * time.Second)
			c.galera.thaw(reader)
			pause(5 * time.Second)
		}, mostSilence, mostStaleness},
		{"two of three nodes killed, started again", func(c *cluster) {
			writer, reader := c.galera.busiest()
			c.galera.kill(writer, reader)
			c.refusesLogins()
			c.galera.start(writer, reader)
		}, 0, mostStaleness},
		{"all three nodes killed, started again", func(c *cluster) {
			token := c.gateway(0).login("someone who stays")
			pause(time.Second) // until every gateway knows who issued it
			c.galera.kill(1, 2, 3)
			c.outlastsTheDatabase(token)
			c.galera.start(1, 2, 3)
		}, 0, mostStaleness},
		{"gateway killed with -9, started again", func(c *cluster) {
			pause(time.Second)
			c.gateway(1).kill()
			pause(2 * time.Second)
			c.serve(1, c.gateway(1).world)
			pause(3 * time.Second)
		}, mostSilence, mostDelay},
		{"gateway frozen for 12 s", func(c *cluster) {
			pause(time.Second)
			g := c.gateway(2)
			g.stopFor(12 * time.Second)
			pause(4 * time.Second)
		}, mostSilence, mostDelay},
	}
}

// TestAClusterLosesNothing has clients log in, refresh, log out, rename themselves, be erased and be banned at three
// gateways on Galera, while nodes and gateways are killed and frozen. It prints the table of docs/storage.md.
func TestAClusterLosesNothing(t *testing.T) {
	if os.Getenv("WXGATE_CLUSTER") == "" {
		t.Skip("make long WHAT=cluster")
	}
	c := newCluster(t)
	for _, each := range clusterCases() {
		if only := os.Getenv("WXGATE_CLUSTER"); only == "1" || strings.Contains(each.name, only) {
			c.run(each)
		}
	}
	c.print()
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	w := newWorld(t)
	w.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 200}}
	t.Cleanup(w.client.CloseIdleConnections)
	c := &cluster{ledger: newLedger(), t: t, galera: startGalera(t)}
	w.onDatabase(fmt.Sprintf("%s:%s@tcp(%s)/%s", galeraUser, galeraPassword, c.galera.hosts, galeraDatabase))
	w.rewrite("max_staleness: 2s", "max_staleness: "+mostStaleness.String())
	for i := range c.gateways {
		c.serve(i, w)
	}
	return c
}

// serve starts a gateway in a place, on the configuration of w.
func (c *cluster) serve(i int, w *world) {
	c.t.Helper()
	c.gateways[i].Store(&replica{world: w.beside()})
}

func (c *cluster) gateway(i int) *replica { return c.gateways[i].Load() }

// stopFor freezes the process.
func (r *replica) stopFor(d time.Duration) {
	r.t.Helper()
	r.signal(syscall.SIGSTOP)
	eventually(r.t, 10*time.Second, r.isStopped)
	r.mu.Lock()
	r.frozen = time.Now()
	r.mu.Unlock()
	<-time.After(d)
	r.mu.Lock()
	r.thawed = time.Now()
	r.mu.Unlock()
	r.signal(syscall.SIGCONT)
}

// isStopped reports whether every thread has stopped: the signal is only on its way when the call that sends it returns.
func (r *replica) isStopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", r.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		r.t.Errorf("the threads of the gateway: %v", err)
	}
	for _, thread := range threads {
		if stat, err := os.ReadFile(thread); err == nil && !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return true
}

// run lets clients be busy while something happens, and then compares what they were told with what is.
func (c *cluster) run(each clusterCase) {
	c.t.Helper()
	before := clusterRow{logins: len(c.logins), refreshes: c.refresh, ended: len(c.revoked), lost: len(c.lost), ids: len(c.twice)}
	for i := range c.gateways {
		c.gateway(i).accepted = 0
	}
	stop := make(chan struct{})
	var clients, watchers sync.WaitGroup
	for _, a := range c.actors(12, each.name, func(i int) *world { return c.gateway(i % len(c.gateways)).world }) {
		clients.Go(func() { keepDoing(stop, 10*time.Millisecond, a.act) })
	}
	for i := range c.gateways {
		watchers.Go(func() { keepDoing(stop, 100*time.Millisecond, func() { c.gateway(i).learn() }) })
	}
	watchers.Go(func() { c.watchRevoked(stop, before.ended) })
	begin := time.Now()
	each.do(c)
	c.recovers()
	end := time.Now()
	<-time.After(time.Second)
	close(stop)
	clients.Wait()
	watchers.Wait()
	c.compare(each.name, before)

	row := clusterRow{
		name: each.name, logins: len(c.logins) - before.logins, refreshes: c.refresh - before.refreshes, ended: len(c.revoked) - before.ended,
		lost: len(c.lost) - before.lost, ids: len(c.twice) - before.ids, silence: c.silence(begin, end),
	}
	for i := range c.gateways {
		row.late = max(row.late, c.gateway(i).accepted)
	}
	c.rows = append(c.rows, row)
	c.t.Logf("%+v", row)
	for _, wrong := range slices.Concat(c.lost[before.lost:], c.twice[before.ids:]) {
		c.t.Errorf("%s: %s", each.name, wrong)
	}
	if row.silence > each.mostSilent && each.mostSilent > 0 {
		c.t.Errorf("%s: nobody could log in for %v, want %v at most", each.name, row.silence, each.mostSilent)
	}
	if row.late > each.mostLate {
		c.t.Errorf("%s: a token was accepted %v after its end was acknowledged, want %v at most", each.name, row.late, each.mostLate)
	}
	if row.logins == 0 || row.refreshes == 0 || row.ended == 0 {
		c.t.Errorf("%s: the clients were idle: %+v", each.name, row)
	}
}

// silence is the longest time without a login that was acknowledged.
func (c *cluster) silence(begin, end time.Time) (longest time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := begin
	for _, at := range append(slices.Clone(c.logins), end) {
		if at.After(begin) && !at.After(end) {
			longest, last = max(longest, at.Sub(last)), at
		}
	}
	return longest
}

// learn asks a gateway how old what it knows of logouts is.
func (r *replica) learn() {
	asked := time.Now()
	resp, err := r.client.Get(r.admin + "/metrics")
	if err != nil {
		return // it was killed
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK { // it was frozen in the midst
		return
	}
	_, rest, _ := strings.Cut(string(text), "\nwxgate_revocation_feed_age_seconds ")
	line, _, _ := strings.Cut(rest, "\n")
	age, err := strconv.ParseFloat(line, 64)
	if err != nil {
		r.t.Errorf("the metrics have no age of the feed: %v", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = append(r.known, knowledge{time.Now(), asked.Add(-time.Duration(age * float64(time.Second)))})
}

// accepts notes that a token was accepted whose end had been acknowledged before the request was sent. Whatever a gateway
// says that it knows, it has to apply.
func (r *replica) accepts(c *cluster, token revokedToken, sent time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sent.After(r.frozen) && sent.Before(r.thawed) {
		sent = r.thawed // nothing was decided before
	}
	r.accepted = max(r.accepted, sent.Sub(token.at))
	for _, k := range r.known {
		if k.at.Before(sent) && k.until.After(token.at) {
			c.losing("a gateway accepts a token %v after its %s, which it knew %v after it", sent.Sub(token.at), token.why, k.at.Sub(token.at))
			return
		}
	}
}

// watchRevoked uses every token whose end was acknowledged, at every gateway, until that refuses it.
func (c *cluster) watchRevoked(stop <-chan struct{}, seen int) {
	var all sync.WaitGroup
	keepDoing(stop, 10*time.Millisecond, func() {
		some := c.revocations(seen)
		seen += len(some)
		for _, token := range some {
			for i := range c.gateways {
				all.Go(func() { c.watchAt(i, token) })
			}
		}
	})
	all.Wait()
}

func (c *cluster) watchAt(i int, token revokedToken) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		g, sent := c.gateway(i), time.Now()
		got, err := g.try("GET", "/api/v1/recipes", token.token, "")
		switch {
		case err == nil && got.status == http.StatusOK:
			g.accepts(c, token, sent)
		case err == nil && got.status == http.StatusUnauthorized, sent.Sub(token.at) > mostStaleness+5*time.Second:
			return
		}
		<-ticker.C
	}
}

// recovers waits until every gateway logs people in.
func (c *cluster) recovers() {
	c.t.Helper()
	for i := range c.gateways {
		var got answer
		var err error
		defer func() {
			if c.t.Failed() && got.status != http.StatusOK {
				c.t.Logf("gateway %d: %v %d %s", i, err, got.status, got.body)
			}
		}()
		eventually(c.t, 60*time.Second, func() bool {
			_, got, err = c.gateway(i).tryLogin("someone who stays")
			return err == nil && got.status == http.StatusOK
		})
	}
}

// refusesLogins wants 503 of every gateway while too few nodes live.
func (c *cluster) refusesLogins() {
	c.t.Helper()
	var all sync.WaitGroup
	for i := range c.gateways {
		all.Go(func() {
			_, got, err := c.gateway(i).tryLogin("someone new")
			if err != nil || got.status != http.StatusServiceUnavailable || got.json["reason"] != "storage_unavailable" {
				c.t.Errorf("a login without a majority: %v %d %s, want 503 storage_unavailable", err, got.status, got.body)
			}
		})
	}
	all.Wait()
}

// outlastsTheDatabase wants a token to be accepted for max_staleness after the database is gone, and 503 from then on.
func (c *cluster) outlastsTheDatabase(token string) {
	c.t.Helper()
	gone := time.Now()
	for i := range c.gateways {
		g, works := c.gateway(i), time.Duration(0)
		eventually(c.t, 30*time.Second, func() bool {
			got, err := g.try("GET", "/api/v1/recipes", token, "")
			if err == nil && got.status == http.StatusOK {
				works = time.Since(gone)
			} else if err != nil || got.status != http.StatusServiceUnavailable || got.json["reason"] != "storage_unavailable" {
				c.t.Errorf("%v after the database: %v %d %s", time.Since(gone), err, got.status, got.body)
			}
			return err == nil && got.status == http.StatusServiceUnavailable
		})
		if i == 0 && works < mostStaleness-3*time.Second || works > mostStaleness+time.Second {
			c.t.Errorf("tokens worked for %v without a database, want about %v", works, mostStaleness)
		}
		if status, says := g.readyz(); status != http.StatusOK || !strings.Contains(says, "logins are refused") || !strings.Contains(says, "requests with a token are refused") {
			c.t.Errorf("/readyz: %d %s", status, says)
		}
		if age, err := strconv.ParseFloat(g.gauge("wxgate_revocation_feed_age_seconds"), 64); err != nil || age < mostStaleness.Seconds() {
			c.t.Errorf("the age of the feed is %v s, %v", age, err)
		}
	}
}

// compare looks at every node and asks every gateway whether what was acknowledged is so.
func (c *cluster) compare(name string, before clusterRow) {
	c.t.Helper()
	c.galera.await()
	for i := range c.galera.nodes {
		c.compareNode(i)
	}
	people := slices.DeleteFunc(c.everybody(), func(p *person) bool { return !strings.HasPrefix(p.name, name) })
	for i := range c.gateways {
		c.ledger.compare(c.gateway(i).world, people, c.revocations(before.ended))
	}
}

// compareNode compares everything with the tables of a node.
func (c *cluster) compareNode(i int) {
	c.t.Helper()
	node := c.galera.nodes[i]
	var users, highest int64
	if err := node.QueryRowContext(c.t.Context(), "SELECT COUNT(*), MAX(id) FROM wxgate_users").Scan(&users, &highest); err != nil || users != highest {
		c.losing("node %d has %d users with ids up to %d, %v", i+1, users, highest, err)
	}
	type known struct{ openID, nickname string }
	inTable := map[int64]known{}
	c.read(i, "SELECT id, openid, nickname FROM wxgate_users WHERE openid IS NOT NULL", func(scan func(...any) error) error {
		var id int64
		var u known
		err := scan(&id, &u.openID, &u.nickname)
		inTable[id] = u
		return err
	})
	type session struct {
		TokenID string `json:"token_id"`
		Ended   bool
	}
	sessions := map[string]session{}
	c.read(i, "SELECT id, record FROM wxgate_sessions", func(scan func(...any) error) error {
		var id string
		var record []byte
		if err := scan(&id, &record); err != nil {
			return err
		}
		var s session
		err := json.Unmarshal(record, &s)
		sessions[id] = s
		return err
	})
	for _, p := range c.everybody() {
		if p.id == 0 || p.unclear {
			continue
		}
		if u := inTable[p.id]; u.openID != p.openID || !slices.Contains(p.names, u.nickname) {
			c.losing("node %d has %v for user %d of %s, want one of %q", i+1, u, p.id, p.name, p.names)
		}
		for _, d := range p.sessions {
			if s, there := sessions[d.sid]; !there || s.Ended || s.TokenID != d.jti {
				c.losing("node %d has a session of %s as %+v, %t", i+1, p.name, s, there)
			}
		}
	}
	for _, ended := range c.revocations(0) {
		if s, there := sessions[ended.sid]; there && !s.Ended && ended.why == "logout" {
			c.losing("node %d has a session that ended by %s", i+1, ended.why)
		}
	}
}

func (c *cluster) read(i int, query string, each func(scan func(...any) error) error) {
	c.t.Helper()
	rows, err := c.galera.nodes[i].QueryContext(c.t.Context(), query)
	if err != nil {
		c.t.Fatalf("node %d: %v", i+1, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			c.t.Fatalf("node %d: %v", i+1, err)
		}
	}
	if err := rows.Err(); err != nil {
		c.t.Fatalf("node %d: %v", i+1, err)
	}
}

// print prints the table of docs/storage.md.
func (c *cluster) print() {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintln(table, "| case\t logins\t refreshes\t sessions ended\t lost\t ids given twice\t longest silence\t latest acceptance of an ended token\t")
	for _, r := range c.rows {
		fmt.Fprintf(table, "| %s\t %d\t %d\t %d\t %d\t %d\t %.1f s\t %.2f s\t\n", r.name, r.logins, r.refreshes, r.ended, r.lost, r.ids, r.silence.Seconds(), r.late.Seconds())
	}
	_ = table.Flush() // into memory
	c.t.Logf("profiles changed %d, users erased %d, banned %d\n%s", c.profiles, c.erasures, c.bans, text.String())
}
